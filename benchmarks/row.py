"""A row of the table, and what rows are given to work with."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from peers import Daemon


@dataclass(frozen=True)
class Data:
    """What is added: an archive with a static shell, a big file, an archive of a tree.

    Attributes:
        acl: text of an access control list of Guix's that lets `private_key` import.
        private_key: the text of a private key of Guix's.
        part: the part of each size that a row is measured with; below 1 to try the rows out.
    """

    shell: bytes
    big_file: str
    tree: bytes
    acl: str = ""
    private_key: bytes = b""
    part: float = 1.0

    def count(self, whole: int) -> int:
        """How many things, or MiB, there are where the row's title says so many."""
        return max(1, int(whole * self.part))


@dataclass(frozen=True)
class Row:
    """A row of the table: what is measured, how often, and in which unit; of a `rate` more is better.

    Attributes:
        group: daemons begin with empty stores where it differs from that of the row before.
        dialect: only the daemons that speak it by nature are measured, and Fruix in it; empty: all.
        rounds: how often it is measured.
    """

    key: str
    title: str
    unit: str
    measure: Callable[[Daemon, Data, int], float]
    rounds: int = 5
    rate: bool = False
    group: str = "builds"
    dialect: str = ""


def timed(work: Callable[[], object]) -> float:
    """Seconds that it takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def walk(start: str, asked: Callable[[str], Iterable[str]]) -> None:
    """Ask about `start` and all that answers name, once each."""
    todo, seen = [start], {start}
    while todo:
        for path in asked(todo.pop()):
            if path not in seen:
                seen.add(path)
                todo.append(path)
