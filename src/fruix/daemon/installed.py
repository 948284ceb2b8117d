"""The program on the disk, which a running daemon loads the rest of itself from: it has to stay the same.

An upgrade in place leaves a daemon that is not restarted with what it has loaded; what it would load then is
another version's.
"""

from __future__ import annotations

import os

import fruix
from fruix.errors import FruixError


class Installed:
    """The program as it was when this was made."""

    def __init__(self) -> None:
        self._file = fruix.__file__
        self._was = self._now()

    def check(self) -> None:
        """See that it is the same still; one stat.

        Raises:
            FruixError: it isn't.
        """
        if self._now() != self._was:
            raise FruixError(
                "Fruix was replaced by another version while this daemon ran",
                where=self._file,
                hint="restart the daemon",
            )

    def _now(self) -> tuple[int, int, int]:
        try:
            status = os.stat(self._file)
        except OSError:
            return 0, 0, 0
        return status.st_dev, status.st_ino, status.st_mtime_ns
