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
from contextlib import AbstractContextManager, contextmanager
from queue import Empty, SimpleQueue

# Pairs of descriptors. Each is held for moments; when all are, others wait for one.
_MOST = 3
_TURN = 0.02  # seconds
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


class Gate:
    """Thread-safe. Pairs of descriptors are kept for the next use: a lock belongs to the open file.

    Attributes:
        idle: the pairs that nobody uses.
        passed: when a user of this process passed the turn last.
    """

    def __init__(self, state: str) -> None:
        """Make the files in the state directory, so that no later use needs room on the disk."""
        self._names = f"{state}/gc.turn", f"{state}/gc.lock"
        self.idle: SimpleQueue[tuple[int, int]] = SimpleQueue()
        self.idle.put(self._open())
        self._count = 1
        self.passed = 0.0
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the files. Nobody may be using the gate."""
        for _ in range(self._count):
            for descriptor in self.idle.get():
                os.close(descriptor)
        self._count = 0

    def using(self) -> AbstractContextManager[None]:
        """Hold it together with others; waits while the collector decides on a batch."""
        return _Use(self)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold it without anybody else: for the collector, and no longer than a batch takes."""
        with self._lent() as (turn, gate):
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
    def _lent(self) -> Iterator[tuple[int, int]]:
        pair = self.take()
        try:
            yield pair
        finally:
            self.idle.put(pair)

    def take(self) -> tuple[int, int]:
        """Borrow a pair, which is to be put back into `idle`; waits until one is."""
        try:
            return self.idle.get_nowait()
        except Empty:
            return self._another() or self.idle.get()

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


class _Use:
    """One user's time in the gate. Not made of generators, which cost as much as the gate itself."""

    __slots__ = ("_gate", "_pair")

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def __enter__(self) -> None:
        gate = self._gate
        self._pair = turn, lock = gate.take()
        try:
            if time.monotonic() - gate.passed < _TURN:
                fcntl.flock(lock, fcntl.LOCK_SH)
                return
            fcntl.flock(turn, fcntl.LOCK_SH)
            try:
                fcntl.flock(lock, fcntl.LOCK_SH)
            finally:
                fcntl.flock(turn, fcntl.LOCK_UN)
            gate.passed = time.monotonic()
        except BaseException:
            gate.idle.put(self._pair)
            raise

    def __exit__(self, *_error: object) -> None:
        try:
            fcntl.flock(self._pair[1], fcntl.LOCK_UN)
        finally:
            self._gate.idle.put(self._pair)
