"""The gate between users of the store and the collector: `gc.lock` and `gc.turn` in the state directory.

*Users* hold `gc.lock` shared for the moment in which they add a temporary root, any number at once.
The *collector* holds it exclusively, for one batch at a time.

Everybody passes `gc.turn` first (users shared, the collector exclusively until it leaves): without
it a collector would never have its turn while users come and go all the time. Mechanism: flock(2),
so threads and processes are all the same. Cost for a user: four system calls, some 3 µs. Nobody who
holds the gate may ask for it again.
"""

from __future__ import annotations

import fcntl
import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


class Gate:
    """Thread-safe. Pairs of descriptors are kept for the next use: a lock belongs to the open file."""

    def __init__(self, state: str) -> None:
        """Make the files in the state directory, so that no later use needs room on the disk."""
        self._names = f"{state}/gc.turn", f"{state}/gc.lock"
        self._idle: deque[tuple[int, int]] = deque([self._open()])

    def close(self) -> None:
        """Close the files. Nobody may be using the gate."""
        while self._idle:
            for descriptor in self._idle.pop():
                os.close(descriptor)

    @contextmanager
    def using(self) -> Iterator[None]:
        """Hold it together with others; waits while the collector decides on a batch."""
        with self._pair() as (turn, gate):
            fcntl.flock(turn, fcntl.LOCK_SH)
            try:
                fcntl.flock(gate, fcntl.LOCK_SH)
            finally:
                fcntl.flock(turn, fcntl.LOCK_UN)
            try:
                yield
            finally:
                fcntl.flock(gate, fcntl.LOCK_UN)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold it without anybody else: for the collector, and no longer than a batch takes."""
        with self._pair() as (turn, gate):
            fcntl.flock(turn, fcntl.LOCK_EX)
            try:
                fcntl.flock(gate, fcntl.LOCK_EX)
                yield
            finally:
                fcntl.flock(gate, fcntl.LOCK_UN)
                fcntl.flock(turn, fcntl.LOCK_UN)

    def _open(self) -> tuple[int, int]:
        turn, gate = self._names
        first = os.open(turn, _FLAGS, 0o600)
        try:
            return first, os.open(gate, _FLAGS, 0o600)
        except BaseException:
            os.close(first)
            raise

    @contextmanager
    def _pair(self) -> Iterator[tuple[int, int]]:
        try:
            pair = self._idle.pop()
        except IndexError:
            pair = self._open()
        try:
            yield pair
        finally:
            self._idle.append(pair)
