"""Queries share a few connections: a peak of readers leaves no descriptors behind."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from fruix.errors import MemoryLimitError, StoreError
from fruix.store import Layout, LocalStore, readers
from fruix.store.memory import charged_to
from fruix.store.readers import MOST, Readers

THREADS = 200
# Per connection: the database and its log.
FILES = 2


def descriptors(store: LocalStore) -> int:
    """How many descriptors of this process stand for the store's files.

    Only those: other threads have some of their own, such as those that list this directory too.
    """
    count = 0
    for name in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):
            count += os.readlink(f"/proc/self/fd/{name}").startswith(store.layout.state)
    return count


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LocalStore]:
    layout = Layout(store=f"{tmp_path}/frx/store", state=f"{tmp_path}/frx/state", log=f"{tmp_path}/frx/log")
    with LocalStore(layout) as opened:
        yield opened


def at_once(count: int, work: Callable[[], object]) -> None:
    """That many threads begin at the same time."""
    barrier = threading.Barrier(count)

    def begin(_number: int) -> object:
        barrier.wait(60)
        return work()

    with ThreadPoolExecutor(count) as pool:
        list(pool.map(begin, range(count)))


# Long enough that the system runs other threads meanwhile.
SLOW = "with recursive n(x) as (select 1 union all select x + 1 from n where x < 20000) select max(x) from n"


def test_a_peak_of_readers_leaves_few_descriptors(store: LocalStore) -> None:
    store.all_valid_paths()
    before = descriptors(store)
    assert before > 0
    most: list[int] = []

    def work() -> None:
        for _ in range(3):
            assert store.database.rows(SLOW) == [(20000,)]
            most.append(descriptors(store))

    at_once(THREADS, work)
    assert max(most) <= before + FILES * MOST
    assert descriptors(store) <= before + FILES * MOST
    assert store.all_valid_paths() == []


def test_those_who_wait_get_their_turn() -> None:
    """One connection for many; each borrows it while others wait."""
    opened: list[sqlite3.Connection] = []

    def connect() -> sqlite3.Connection:
        opened.append(sqlite3.connect(":memory:", check_same_thread=False))
        return opened[-1]

    shared = Readers(connect)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(readers, "MOST", 1)
        at_once(50, lambda: [shared.rows(SLOW, ()) for _ in range(5)])
    assert len(opened) == 1
    shared.close()
    with pytest.raises(sqlite3.ProgrammingError):
        opened[0].execute("select 1")


def test_a_failed_query_gives_its_connection_back(store: LocalStore) -> None:
    for _ in range(3 * MOST):
        with pytest.raises(StoreError, match="no such table"):
            store.database.rows("select * from nowhere")
    assert store.all_valid_paths() == []


class Poor:
    taken = 0

    def take(self, _size: int) -> None:
        raise MemoryLimitError("too much")

    def give(self, _size: int) -> None:
        pass


def test_long_answers_are_paid_for(store: LocalStore) -> None:
    series = "with recursive n(x) as (select 1 union all select x + 1 from n where x < ?) select x from n"
    with charged_to(Poor()):
        assert len(store.database.rows(series, 1000)) == 1000
        for _ in range(3 * MOST):
            with pytest.raises(MemoryLimitError):
                store.database.rows(series, 5000)
    assert len(store.database.rows(series, 5000)) == 5000
