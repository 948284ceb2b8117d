"""Signals reach the main thread, whatever other threads there are."""

from __future__ import annotations

import re
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fruix
from fruix.thread_pool import ThreadPool
from fruix.threads import Thread

# Of these no thread is ever freed: the C library keeps them, and blocks nothing else.
KEPT = {signal.SIGKILL, signal.SIGSTOP}


def blocked() -> set[int]:
    return set(signal.pthread_sigmask(signal.SIG_BLOCK, ()))


ALL = set(signal.valid_signals()) - KEPT


def test_a_thread_begins_with_all_signals_blocked() -> None:
    before, seen = blocked(), []
    thread = Thread(target=lambda: seen.append(blocked()), name="looks")
    thread.start()
    thread.join()
    assert seen == [ALL]
    assert blocked() == before


def test_so_do_the_threads_of_a_pool() -> None:
    before = blocked()
    with ThreadPool(2, "looks") as pool:
        assert pool.submit(blocked).result() == ALL
    assert blocked() == before
    with ThreadPoolExecutor(1) as pool:  # what this is about
        assert pool.submit(blocked).result() == before


def test_there_are_no_other_threads() -> None:
    ordinary = re.compile(r"threading\.Thread\(|ThreadPoolExecutor\(|start_new_thread")
    root = Path(fruix.__file__).parent
    found = {str(file.relative_to(root)) for file in root.rglob("*.py") if ordinary.search(file.read_text())}
    assert found <= {"threads.py"}
