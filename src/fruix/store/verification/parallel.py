"""Work on many things in several threads, results in order.

Reading and hashing let go of the interpreter lock, so threads are enough. At most `_AHEAD` things
for each thread are begun before their results are wanted: memory does not grow with how many there
are. The threads are interrupted as the caller is (see `tree.interruption`).
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextvars import copy_context
from typing import TypeVar

from fruix.threads import ThreadPool

T = TypeVar("T")
R = TypeVar("R")

MOST_THREADS = 16
_AHEAD = 4


def in_parallel(work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Yield `work(item)` for each item. An exception of one ends the rest."""
    threads = min(MOST_THREADS, os.cpu_count() or 1)
    waiting: deque[Future[R]] = deque()
    pool = ThreadPool(threads, "verify")
    try:
        for item in items:
            waiting.append(pool.submit(copy_context().run, work, item))
            if len(waiting) > threads * _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
