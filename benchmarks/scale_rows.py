"""How things are when there is much: processes and mounts of the host, paths, clients, derivations.

Each row is measured in its size and in a tenth of it; what doesn't grow with it should cost the same.
The paths of the big database have rows and no files: no question needs them.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import sqlite3
import statistics
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import count

import lowering_rows
from fruix.model import aterm, base32
from fruix.model.derivation import Derivation, DerivationOutput
from fruix.model.drvhash import DerivationHasher, fill_outputs
from fruix.model.storepath import StorePath
from fruix.sandbox.linux import libc
from peers import Daemon
from registering import register, two_earlier
from report import OURS
from row import Data, Measure, Row, add_derivation, add_shell, timed
from store_client import DELETE_DEAD, StoreClient
from store_rows import keep
from unavailable import Unavailable
from wire import Client, number, strings

CROWD = 5_000
PATHS = 1_000_000
QUESTIONS = 2_000
TEXTS = 200
DEAD = 10_000
IDLE, IDLE_PEERS = 1_000, 100
BUSY, ASKED = 50, 40
GRAPH = 20_000
_TOGETHER = 10_000  # rows of the database in one statement
_NUMBERS = count()
_SCRIPT = "echo begun-here; echo hi > $out"


# A trivial build on a host with many processes and mounts


def crowded_build(daemon: Daemon, data: Data, _round: int) -> float:
    """A trivial build, median of 5, beside 5,000 processes and 5,000 mounts that are not its."""
    shell = add_shell(daemon, data)
    client = daemon.client()
    drvs = [
        add_derivation(daemon, client, f"crowd-{next(_NUMBERS)}", shell, "echo hi > $out") for _ in range(5)
    ]
    many = data.count(CROWD)
    with _processes(many), _mounts(f"{daemon.base}/mounts", many):
        seconds = [timed(lambda drv=drv: client.build([drv])) for drv in drvs]  # type: ignore[misc]
    client.close()
    return statistics.median(seconds)


@contextmanager
def _processes(many: int) -> Iterator[None]:
    script = f"i=0; while [ $i -lt {many} ]; do sleep 10000 & i=$((i+1)); done; echo up; wait"
    words = ["/bin/busybox", "sh", "-c", script]
    crowd = subprocess.Popen(words, stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert crowd.stdout is not None
        if crowd.stdout.readline() != b"up\n":
            raise Unavailable("so many processes can't be started")
        yield
    finally:
        os.killpg(crowd.pid, signal.SIGKILL)
        crowd.communicate()


@contextmanager
def _mounts(directory: str, many: int) -> Iterator[None]:
    os.makedirs(directory, exist_ok=True)
    place = os.fsencode(directory)
    libc.mount(b"none", place, b"tmpfs", 0)
    try:
        for index in range(many):
            os.mkdir(f"{directory}/{index}")
            libc.mount(place, os.fsencode(f"{directory}/{index}"), None, libc.MS_BIND)
        yield
    finally:
        libc.umount(place, libc.MNT_DETACH)


# A database of a million paths


def _filled(daemon: Daemon, data: Data) -> int:
    """How many rows there are; they are made when it is asked for them first."""
    many = data.count(PATHS)
    if "million" not in daemon.paths:
        daemon.stop()
        _insert(daemon, many)
        daemon.start()
        client = StoreClient(daemon.dialect, daemon.socket)
        keep(daemon, client, _path(daemon, many - 1))
        client.close()
        daemon.paths["million"] = "there"
    return many


def _path(daemon: Daemon, index: int) -> str:
    digest = hashlib.sha256(b"%d" % index).digest()[:20]
    return f"{daemon.store}/{base32.encode(digest)}-million-{index}"


def _insert(daemon: Daemon, many: int) -> None:
    """Each refers to the one before and to that of half its number: the last needs all others."""
    connection = sqlite3.connect(daemon.database)
    connection.execute("pragma synchronous = off")
    (first,) = connection.execute("select coalesce(max(id), 0) + 1 from ValidPaths").fetchone()
    hash_ = "sha256:" + hashlib.sha256().hexdigest()
    for start in range(0, many, _TOGETHER):
        numbers = range(start, min(start + _TOGETHER, many))
        with connection:
            connection.executemany(
                "insert into ValidPaths (id, path, hash, registrationTime, narSize) values (?, ?, ?, 1, 120)",
                ((first + index, _path(daemon, index), hash_) for index in numbers),
            )
            connection.executemany(
                "insert or ignore into Refs (referrer, reference) values (?, ?)",
                ((first + index, first + other) for index in numbers for other in two_earlier(index)),
            )
    if daemon.name == OURS:  # it would read again at its start what came after this mark
        with connection:
            connection.execute("update FruixSync set mark = ?", (first + many,))
    connection.close()
    with open(_path(daemon, many - 1), "wb"):  # a root has to be there
        pass


def start(daemon: Daemon, data: Data, _round: int) -> float:
    """The daemon's start."""
    _filled(daemon, data)
    daemon.stop()
    return daemon.start()


def question(daemon: Daemon, data: Data, _round: int) -> float:
    """QueryPathInfo for paths that nobody asked for before: seconds of one."""
    many = _filled(daemon, data)
    chosen = random.Random(next(_NUMBERS)).sample(range(many), min(many, QUESTIONS))
    client = daemon.client()
    seconds = timed(lambda: [client.references(_path(daemon, index)) for index in chosen])
    client.close()
    return seconds / len(chosen)


def registration(daemon: Daemon, data: Data, _round: int) -> float:
    """A small text, added: seconds of one of 200."""
    _filled(daemon, data)
    client = daemon.client()
    names = [f"more-{next(_NUMBERS)}" for _ in range(TEXTS)]
    seconds = timed(lambda: [client.add_text(name, b"text") for name in names])
    client.close()
    return seconds / TEXTS


def collection(daemon: Daemon, data: Data, _round: int) -> float:
    """Delete 10,000 dead paths beside all the others."""
    _filled(daemon, data)
    many = data.count(DEAD)
    register(daemon, f"dead-{next(_NUMBERS)}", many, two_earlier)
    client = StoreClient(daemon.dialect, daemon.socket)
    found: list[int] = []
    seconds = timed(lambda: found.append(client.collect(DELETE_DEAD)))
    client.close()
    if found[0] < many:
        raise Unavailable(f"only {found[0]} paths were deleted")
    return seconds


# Many clients


def idle(daemon: Daemon, data: Data, _round: int) -> float:
    """MiB for each of 1,000 idle clients (of the peers 100: each has a process of its own)."""
    many = max(10, data.count(IDLE if daemon.name == OURS else IDLE_PEERS))
    clients = [daemon.client()]
    before = daemon.memory()
    clients += [daemon.client() for _ in range(many)]
    time.sleep(0.3)
    after = daemon.memory()
    for client in clients:
        client.close()
    return (after - before) / many


def busy(daemon: Daemon, data: Data, _round: int) -> float:
    """The worst answer to any of 50 clients, each a process, that ask 40 questions each without a pause."""
    client = daemon.client()
    paths = [client.add_text(f"busy-{index}", b"text") for index in range(ASKED)]
    client.close()
    go, wait = os.pipe(), os.pipe()
    many = max(5, data.count(BUSY))
    children = [_busy(daemon, paths, (wait[0], wait[1], go[1])) for _ in range(many)]
    os.close(wait[0])
    os.close(go[1])
    os.close(wait[1])  # all children begin now
    with os.fdopen(go[0]) as file:
        found = [float(line) for line in file]
    for pid in children:
        os.waitpid(pid, 0)
    if len(found) != many:
        raise Unavailable(f"{many - len(found)} clients got no answers")
    return max(found)


def _busy(daemon: Daemon, paths: list[str], pipes: tuple[int, int, int]) -> int:
    wait, others, say = pipes
    pid = os.fork()
    if pid == 0:
        try:
            client = daemon.client()
            os.close(others)
            os.read(wait, 1)
            seconds = [timed(lambda path=path: client.references(path)) for path in paths]  # type: ignore[misc]
            os.write(say, f"{max(seconds)}\n".encode())
        finally:
            os._exit(0)
    return pid


# A graph of 20,000 derivations


class _Graph:
    """Derivations of which each needs the one of half its number and the one before that."""

    def __init__(self, daemon: Daemon, data: Data, client: Client) -> None:
        self._shell = add_shell(daemon, data)
        self._daemon, self._client = daemon, client
        self._derivations: dict[StorePath, Derivation] = {}
        self._hasher = DerivationHasher(self._derivations.__getitem__)
        self._paths: list[StorePath] = []

    def add(self, name: str, many: int) -> str:
        """Add them; the path of the one that needs all others."""
        for index in range(many):
            self._add(f"{name}-{index}", {(index - 1) // 2, (index - 1) // 2 - 1} if index else set())
        return self._join(name, many)

    def _add(self, name: str, needed: Iterable[int]) -> None:
        inputs = {self._paths[index]: ("out",) for index in sorted(needed) if index >= 0}
        plain = Derivation(
            name, {"out": DerivationOutput(None)}, dict(sorted(inputs.items())), (StorePath(self._shell),),
            "x86_64-linux", f"{self._shell}/bin/sh", ("-c", _SCRIPT), {"name": name},
        )  # fmt: skip
        whole = fill_outputs(plain, self._hasher, self._daemon.store)
        references = [path.text for path in (*inputs, StorePath(self._shell))]
        path = StorePath(self._client.add_text(f"{name}.drv", aterm.render(whole), references))
        self._derivations[path] = whole
        self._paths.append(path)

    def _join(self, name: str, many: int) -> str:
        """One more, which needs those that no other does."""
        self._add(f"{name}-all", range(max(0, many // 2 - 1), many))
        return self._paths[-1].text


def _graph(daemon: Daemon, data: Data) -> str:
    if "graph" not in daemon.paths:
        client = daemon.client()
        daemon.paths["graph"] = _Graph(daemon, data, client).add("graph", data.count(GRAPH))
        client.close()
        daemon.stop()  # nothing of them is in its memory
        daemon.start()
    return daemon.paths["graph"]


def plan(daemon: Daemon, data: Data, _round: int) -> float:
    """What a build of a graph would take: QueryMissing, which is none of Guix's."""
    top = _graph(daemon, data)
    client = StoreClient(daemon.dialect, daemon.socket)
    found: list[int] = []
    seconds = timed(lambda: found.append(client.missing(top)))
    client.close()
    if found[0] <= data.count(GRAPH):
        raise Unavailable(f"only {found[0]} are missing")
    return seconds


def plan_memory(daemon: Daemon, data: Data, _round: int) -> float:
    """MiB more that the daemon has with such a plan in the making and after it, at most."""
    top = _graph(daemon, data)
    daemon.stop()
    daemon.start()
    client = daemon.client()
    before = daemon.memory()
    _until_begun(client, top)
    after = daemon.memory()
    client.close()
    return after - before


def first_build(daemon: Daemon, data: Data, _round: int) -> float:
    """From the request for the whole graph to what the first builder says; it is given up then."""
    top = _graph(daemon, data)
    client = daemon.client()
    seconds = timed(lambda: _until_begun(client, top))
    client.close()
    time.sleep(0.5)
    return seconds


def _until_begun(client: Client, drv: str) -> None:
    suffix = "!out" if client.dialect == "nix" else ""
    client.ask(number(9) + strings([drv + suffix]) + number(0), b"begun-here")


def _row(key: str, title: str, unit: str, work: Measure, **more: object) -> Row:
    return Row(key, title, unit, work, **{"rounds": 2, "group": "scale", **more})  # type: ignore[arg-type]


ROWS: tuple[Row, ...] = (
    _row("crowd", "trivial build, 5,000 processes and mounts", "ms", crowded_build, rounds=1),
    _row("idle", "each of 1,000 idle clients", "MiB", idle, rounds=1),
    _row("busy", "worst answer to 50 busy clients", "ms", busy),
    _row("plan", "plan of 20,000 derivations", "s", plan, dialect="nix"),
    _row("first", "first of 20,000 builds begun", "s", first_build, rounds=1),
    _row("plan-memory", "memory for 20,000 derivations", "MiB", plan_memory, rounds=1),
    _row("lower", "lower 10,000 packages over the socket", "s", lowering_rows.lowering, dialect=OURS),
    _row("lower-memory", "memory for lowering them", "MiB", lowering_rows.memory, dialect=OURS, rounds=1),
    _row("dry-run", "fruix build -n of 10,000 packages", "s", lowering_rows.dry_run, dialect=OURS, rounds=1),
    _row("million-start", "start, 1,000,000 paths", "ms", start, group="million"),
    _row("million-info", "QueryPathInfo, 1,000,000 paths", "ms", question, group="million"),
    _row("million-text", "add a text, 1,000,000 paths", "ms", registration, group="million"),
    _row("million-collect", "collect 10,000 of 1,000,000", "s", collection, rounds=1, group="million"),
)
