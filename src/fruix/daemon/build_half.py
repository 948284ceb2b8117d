"""The build half of a daemon, which is loaded and made when it is asked for something first.

It is most of a daemon's program, and many a daemon answers questions alone for a long time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from fruix.errors import FruixError

if TYPE_CHECKING:
    from fruix.building.builder import Builder
    from fruix.model.activity import ActiveBuild


class BuildHalf:
    """Thread-safe."""

    def __init__(self, make: Callable[[], Builder]) -> None:
        """`make` is called once at most."""
        self._make = make
        self._making = threading.Lock()
        self._made: Builder | None = None
        self._drains = False
        self._is_closed = False

    @property
    def builder(self) -> Builder:
        """What builds.

        Raises:
            FruixError: the daemon ends.
        """
        if self._made is None:
            with self._making:
                if self._is_closed:
                    raise FruixError("the daemon is ending", hint="ask again when it has been started anew")
                if self._made is None:
                    made = self._make()
                    if self._drains:
                        made.drain()
                    self._made = made
        return self._made

    def active(self) -> list[ActiveBuild]:
        """All builds that run or wait."""
        return [] if self._made is None else self._made.active()

    def drain(self) -> None:
        """Begin no more builds; returns when none runs."""
        with self._making:
            self._drains = True
        if self._made is not None:
            self._made.drain()

    def close(self) -> None:
        """End all builds and wait for their clean-up."""
        with self._making:
            self._is_closed = True
        if self._made is not None:
            self._made.close()
