"""A pool of threads that leave signals to the main thread (see `threads`)."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from fruix.threads import signals_blocked


class ThreadPool(ThreadPoolExecutor):
    """An executor whose threads take no signals. All of them begin with it."""

    def __init__(self, threads: int, name: str) -> None:
        """Start the threads.

        Raises:
            RuntimeError: the system gives too few.
        """
        super().__init__(threads, thread_name_prefix=name)
        everybody = threading.Barrier(threads)
        try:
            with signals_blocked():
                for _ in range(threads):
                    self.submit(everybody.wait)  # keeps its thread, so that the next one gets another
        except BaseException:
            everybody.abort()
            self.shutdown()
            raise
