"""The gate between users of the store and the collector: `gc.lock` and `gc.turn` in the state directory.

*Users* hold `gc.lock` shared for the moment in which they add a temporary root, any number at once.
The *collector* holds it exclusively, for one batch at a time.

Everybody passes `gc.turn` first (users shared, the collector exclusively until it leaves): without
it a collector would never have its turn while users come and go all the time. A process passes it
once in `_TURN` seconds: for so long its users may still come and go when the collector has its turn.
Mechanism: flock(2), so threads and processes are all the same. Cost for a user: two system calls,
some 2 µs, or four. Nobody who holds the gate may ask for it again.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue

# Pairs of descriptors. Each is held for moments; when all are, others wait for one.
_MOST = 3
_TURN = 0.02  # seconds
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


class Gate:
    """Thread-safe. Pairs of descriptors are kept for the next use: a lock belongs to the open file."""

    def __init__(self, state: str) -> None:
        """Make the files in the state directory, so that no later use needs room on the disk."""
        self._names = f"{state}/gc.turn", f"{state}/gc.lock"
        self._idle: SimpleQueue[tuple[int, int]] = SimpleQueue()
        self._idle.put(self._open())
        self._count = 1
        self._passed = 0.0  # when a user of this process passed the turn last
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the files. Nobody may be using the gate."""
        for _ in range(self._count):
            for descriptor in self._idle.get():
                os.close(descriptor)
        self._count = 0

    @contextmanager
    def using(self) -> Iterator[None]:
        """Hold it together with others; waits while the collector decides on a batch."""
        with self._pair() as (turn, gate):
            if time.monotonic() - self._passed < _TURN:
                fcntl.flock(gate, fcntl.LOCK_SH)
            else:
                fcntl.flock(turn, fcntl.LOCK_SH)
                try:
                    fcntl.flock(gate, fcntl.LOCK_SH)
                finally:
                    fcntl.flock(turn, fcntl.LOCK_UN)
                self._passed = time.monotonic()
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
        pair = self._take()
        try:
            yield pair
        finally:
            self._idle.put(pair)

    def _take(self) -> tuple[int, int]:
        try:
            return self._idle.get_nowait()
        except Empty:
            return self._another() or self._idle.get()

    def _another(self) -> tuple[int, int] | None:
        """Open one more pair; None if there are enough, or the process may open no more files."""
        with self._lock:
            if self._count == _MOST:
                return None
            self._count += 1
        try:
            return self._open()
        except OSError:
            with self._lock:
                self._count -= 1
            return None
