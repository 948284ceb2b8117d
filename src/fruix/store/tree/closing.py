"""Closing files that have lost their last name, in threads of their own.

A file system frees what such a file held when it is closed, and some wait for the disk meanwhile: ext4
that discards what it frees does so for 90 µs a file. Whoever replaces many files does its own work
meanwhile, and the disk takes several of them at once.

Files are handed over many at a time, and those whose descriptors follow each other are closed by one
call: each return from a call of the system is a turn at the interpreter, which the other threads need.
"""

from __future__ import annotations

import os
import queue
import threading
from contextlib import suppress

from fruix.threads import Thread

_TOGETHER = 16  # files that are handed over at once
_MOST_THREADS = 4
_MOST_WAITING = 6  # times as many files wait, or are being closed


class Closer:
    """Thread-safe. A thread begins with the first file that needs it, more where they wait for the disk."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[list[int] | None] = queue.SimpleQueue()
        self._collecting = threading.Lock()
        self._collected: list[int] = []
        self._changed = threading.Condition()
        self._waiting = 0  # lists of files that are not closed yet
        self._threads: list[Thread] = []

    def close(self, descriptor: int) -> None:
        """Close a file: at once if it has a name, else soon."""
        if os.fstat(descriptor).st_nlink:
            os.close(descriptor)
        else:
            self.close_soon(descriptor)

    def close_soon(self, descriptor: int) -> None:
        """Close a file some time; `flush` says that no more of them are to come."""
        with self._collecting:
            self._collected.append(descriptor)
            if len(self._collected) < _TOGETHER:
                return
        self.flush()

    def flush(self) -> None:
        """Begin to close all that was given before."""
        with self._collecting:
            files, self._collected = self._collected, []
        if not files:
            return
        with self._changed:
            self._changed.wait_for(lambda: self._waiting < _MOST_WAITING)
            if len(self._threads) < min(self._waiting + 1, _MOST_THREADS):
                self._start()
            if self._threads:
                self._waiting += 1
                self._queue.put(files)
                return
        _close_all(files)

    def _start(self) -> None:
        thread = Thread(self._run, "closing")
        with suppress(RuntimeError):  # the system gives none
            thread.start()
            self._threads.append(thread)

    def drain(self) -> None:
        """Return when all that was given before is closed."""
        self.flush()
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting)

    def end(self) -> None:
        """Close what waits, and end the threads. Nothing may be given meanwhile."""
        self.flush()
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def _run(self) -> None:
        while (files := self._queue.get()) is not None:
            _close_all(files)
            with self._changed:
                self._waiting -= 1
                self._changed.notify_all()


def _close_all(files: list[int]) -> None:
    """Close open files, by one call for each row of descriptors that follow each other."""
    files.sort()
    first = 0
    for index in range(1, len(files) + 1):
        if index == len(files) or files[index] != files[index - 1] + 1:
            os.closerange(files[first], files[index - 1] + 1)
            first = index
