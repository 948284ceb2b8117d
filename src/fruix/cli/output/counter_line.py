"""One line on a terminal that says how far a transfer has come.

It is written over and over; nothing is written where no terminal is.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Self, TextIO

from fruix.cli.output.amounts import duration, plural, size
from fruix.cli.output.lines import cut
from fruix.cli.output.standard_streams import unfiltered
from fruix.cli.output.terminal import width

PERIOD = 0.1  # seconds between two states that are shown


class CounterLine:
    """A context manager, which erases the line in the end."""

    def __init__(self, what: str, stream: TextIO | None = None) -> None:
        """`what` is said before the numbers; `stream` is standard error by default."""
        self._what = what
        self._stream = sys.stderr if stream is None else stream
        self._width = None if os.environ.get("TERM") == "dumb" else width(self._stream)
        self._began = time.monotonic()
        self._next = 0.0
        self._shown = False

    def show(self, text: str) -> None:
        """Say how far it has come; states that come too fast are left out."""
        now = time.monotonic()
        if self._width is None or now < self._next:
            return
        self._next = now + PERIOD
        self._shown = True
        unfiltered(self._stream).write(f"\r{cut(f'{self._what} {text}', self._width - 1, '')}\x1b[K")
        self._stream.flush()

    def summary(self, objects: int, count: int) -> str:
        """What was transferred: the number of paths, bytes and the time."""
        seconds = time.monotonic() - self._began
        return f"{plural(objects, 'path')}, {size(count)}, {duration(seconds)}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._shown:
            unfiltered(self._stream).write("\r\x1b[K")
            self._stream.flush()
