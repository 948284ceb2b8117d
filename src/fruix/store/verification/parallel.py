"""Work on many things in several threads, results in order.

Reading and hashing let go of the interpreter lock, so threads are enough. Things that take long do
not hold up the others, but memory does not grow with how many there are: at most `_AHEAD` for each
thread are begun and not done, and at most `_KEPT` are done before their results are wanted. The
threads are interrupted as the caller is (see `tree.interruption`).
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextvars import copy_context
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future

T = TypeVar("T")
R = TypeVar("R")

MOST_THREADS = 16
_AHEAD = 4
_KEPT = 1024


def in_parallel(work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Yield `work(item)` for each item. An exception of one ends the rest."""
    threads = min(MOST_THREADS, os.cpu_count() or 1)
    waiting: deque[Future[R]] = deque()
    room = threading.Semaphore(threads * _AHEAD)
    from fruix.thread_pool import ThreadPool  # noqa: PLC0415 - seldom needed

    pool = ThreadPool(threads, "verify")
    try:
        for item in items:
            room.acquire()
            future = pool.submit(copy_context().run, work, item)
            future.add_done_callback(lambda _: room.release())
            waiting.append(future)
            while waiting and (waiting[0].done() or len(waiting) > _KEPT):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
