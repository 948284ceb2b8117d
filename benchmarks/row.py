"""A row of the table, and what rows are given to work with."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from fruix.model import aterm
from fruix.model.derivation import Derivation, DerivationOutput
from fruix.model.drvhash import DerivationHasher, fill_outputs
from fruix.model.storepath import StorePath
from peers import Daemon
from wire import Client, bytes_archive


@dataclass(frozen=True)
class Data:
    """What is added: an archive with a static shell, a big file, an archive of a tree.

    Attributes:
        acl: text of an access control list of Guix's that lets `private_key` import.
        private_key: the text of a private key of Guix's.
        part: the part of each size that a row is measured with; below 1 to try the rows out.
        packages: names of those that the row of packages builds; none: all.
    """

    shell: bytes
    big_file: str
    tree: bytes
    acl: str = ""
    private_key: bytes = b""
    part: float = 1.0
    packages: tuple[str, ...] = ()

    def count(self, whole: int) -> int:
        """How many things, or MiB, there are where the row's title says so many."""
        return max(1, int(whole * self.part))


Measure = Callable[[Daemon, Data, int], float]
"""Given a daemon and the round's number: a figure, in seconds if it is a time."""


@dataclass(frozen=True)
class Row:
    """A row of the table: what is measured, how often, and in which unit; of a `rate` more is better.

    Attributes:
        group: daemons begin with empty stores where it differs from that of the row before.
        dialect: only the daemons that speak it by nature are measured, and Fruix in it; empty: all;
            `fruix`: none but that.
        rounds: how often it is measured.
        grows: whether it is measured in a tenth of its size too, to see how its cost grows.
        on_request: it takes hours, and is measured only if it is named.
    """

    key: str
    title: str
    unit: str
    measure: Measure
    rounds: int = 5
    rate: bool = False
    group: str = "builds"
    dialect: str = ""
    grows: bool = True
    on_request: bool = False


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


def add_shell(daemon: Daemon, data: Data) -> str:
    """The path of a static shell in this store, which is added when it is asked for first."""
    if "shell" not in daemon.paths:
        client = daemon.client()
        daemon.paths["shell"] = client.add_archive("shell", bytes_archive(data.shell))
        client.close()
    return daemon.paths["shell"]


def add_derivation(
    daemon: Daemon, client: Client, name: str, shell: str, script: str, inputs: Iterable[str] = ()
) -> str:
    """Add a derivation whose builder is the shell."""
    sources = tuple(sorted(StorePath(path) for path in {shell, *inputs}))
    env = {"PATH": f"{shell}/bin", "name": name}
    plain = Derivation(
        name,
        {"out": DerivationOutput(None)},
        {},
        sources,
        "x86_64-linux",
        f"{shell}/bin/sh",
        ("-c", script),
        env,
    )
    whole = fill_outputs(plain, DerivationHasher(_no_inputs), daemon.store)
    return client.add_text(f"{name}.drv", aterm.render(whole), [path.text for path in sources])


def _no_inputs(path: StorePath) -> Derivation:
    raise KeyError(path)
