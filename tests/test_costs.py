"""What requests cost the daemon: calls of the system, which no load of the machine changes.

The daemon runs under `strace`, with its builders. A client connects anew for each kind of request, so
that connections part the calls of one kind from those of the next.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

import peers
import row
from fruix.client import RemoteStore, connect
from fruix.model.text_object import Text
from fruix.store import schema
from fruix.store.tree.dump import dump
from machine import BUSYBOX, private_frx
from row import Data
from waiting import until

BUILDS, ASKED = 10, 60  # the store's own work, some seconds after a change, is small beside so many
OWN_UID = 46100  # builders of other tests' daemons run as others
MANY = 300  # more processes than there are on a quiet machine
# Kind of request → most calls for one. Waiting for other threads doesn't count, since how often that
# takes a call depends on the load.
MOST = {
    "build": 500,  # 478 to 483; the sandbox that is made ready for the next one among it
    "after the builder": 140,  # 70; on a busy machine more of what belongs to the build before falls into it
    "text": 36,  # 31
    "text of many": 9,
    "first question": 12,  # 8
    "question again": 8,  # 6
    "nothing to do": 7.5,  # 7.1; 8.1 while an object was looked for besides those that are needed
}
TIMES = {"build": BUILDS, "nothing to do": 10 * ASKED}
AFTER = "after the builder"
WAITING = ("futex", "restart_syscall", "sched_yield", "poll", "ppoll", "epoll_wait")
ACCEPTED = re.compile(r"accept4(\(| resumed>).* = \d")
CALL = re.compile(r"\d+ +(\w+)\(")
LOOK = re.compile(r"recvfrom\(.*MSG_DONTWAIT, .* = -1 EAGAIN")  # how often: depends on the load too
# From the moment when the daemon knows that nothing of the build is alive to its answer, which begins with
# the start of the build where that wasn't told before.
ENDED, ANSWERED = re.compile(r'recv.*"\[\\"Exit\\"'), re.compile(r'sendto\(\d+, "(TLSR|TRTS)')


def _can_trace() -> bool:
    words = ["strace", "-f", "-o", "/dev/null", "true"]
    return shutil.which("strace") is not None and subprocess.run(words, check=False).returncode == 0


pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="machine: the daemon runs as root"),
    pytest.mark.skipif(
        shutil.which("strace") is not None and not _can_trace(), reason="machine: nothing can be traced here"
    ),
]


@contextmanager
def traced(trace: Path) -> Iterator[peers.Daemon]:
    with private_frx():
        daemon = peers.available("/nowhere")["fruix"]("/frx")
        daemon.command[:0] = ["strace", "-f", "-qq", "-o", str(trace)]
        with open(daemon.configuration, "a", encoding="ascii") as file:
            file.write(f"first-build-uid = {OWN_UID}\n")
        daemon.start()
        try:
            yield daemon
        finally:
            assert daemon.process is not None
            os.kill(daemon.processes()[1], signal.SIGTERM)
            assert daemon.process.wait() == 0


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    place = tmp_path_factory.mktemp("shell")
    (place / "shell/bin").mkdir(parents=True)
    (place / "shell/bin/sh").write_bytes(Path(BUSYBOX).read_bytes())
    (place / "shell/bin/sh").chmod(0o755)
    parent = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    archive = b"".join(dump(parent, b"shell"))
    os.close(parent)
    return Data(archive, "", b"")


def calls(trace: Path, kinds: list[str]) -> dict[str, float]:
    """Calls for one request of each kind; every connection but the first that are named was for one."""
    parts: list[Counter[str]] = []
    ended = False
    for line in trace.read_text(errors="replace").splitlines():
        if ACCEPTED.search(line):
            parts.append(Counter())
        elif parts and (found := CALL.match(line)) and found[1] not in WAITING and not LOOK.search(line):
            parts[-1][found[1]] += 1
            parts[-1][AFTER] += ended
        ended = bool(ENDED.search(line)) or (ended and not ANSWERED.search(line))
    wanted = parts[-len(kinds) - 1 : -1]
    after = {AFTER: sum(part.pop(AFTER, 0) for part in wanted) / BUILDS}
    return after | {
        kind: part.total() / TIMES.get(kind, ASKED) for kind, part in zip(kinds, wanted, strict=True)
    }


def requests(daemon: peers.Daemon, data: Data) -> list[tuple[str, Callable[[Any], object]]]:
    """The kinds of requests, what a derivation needs added before."""
    numbers = count()
    client = daemon.client()
    shell = row.add_shell(daemon, data)
    made = [row.add_derivation(daemon, client, f"d-{n}", shell, "echo hi > $out") for n in range(BUILDS + 3)]
    paths = [client.add_text(f"q-{n}", b"text") for n in range(ASKED)]
    for drv in made[BUILDS:]:
        client.build([drv])
    client.close()
    until(lambda: _mark(daemon.database), "rows are on disk, so that each look at the store is a whole one")
    return [
        ("build", lambda client: _each(client.build, ([drv] for drv in made[:BUILDS]))),
        ("text", lambda client: [client.add_text(f"t-{next(numbers)}", b"text") for _ in range(ASKED)]),
        ("text of many", lambda store: _together(store, (f"m-{n}" for n in range(ASKED)))),
        ("first question", lambda client: [client.references(path) for path in paths]),
        ("question again", lambda client: [client.references(path) for path in paths]),
        ("nothing to do", lambda client: [client.build([made[-1]]) for _ in range(10 * ASKED)]),
    ]


def _together(store: RemoteStore, names: Iterable[str]) -> None:
    for name in names:
        store.add_text_soon(Text(name, b"text", ()))
    store.add_waiting()


def _mark(database: str) -> int:
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        ((mark,),) = connection.execute(schema.GET_MARK)
    finally:
        connection.close()
    return int(mark)


def _each(act: Callable[[list[str]], object], arguments: Iterable[list[str]]) -> None:
    for argument in arguments:
        act(argument)


def measured(trace: Path, data: Data) -> dict[str, float]:
    with traced(trace) as daemon:
        kinds = requests(daemon, data)
        for kind, ask in kinds:
            client = connect(daemon.socket, daemon.store) if kind == "text of many" else daemon.client()
            ask(client)
            client.close()
        daemon.client().close()  # ends what belongs to the last
    return calls(trace, [kind for kind, _ in kinds])


@contextmanager
def crowd() -> Iterator[None]:
    """Processes that have nothing to do with the daemon."""
    waiting = subprocess.Popen(
        ["sh", "-c", f"for i in $(seq {MANY}); do sleep 10000 & done; echo up; wait"],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        assert waiting.stdout is not None
        assert waiting.stdout.readline() == b"up\n"
        yield
    finally:
        os.killpg(waiting.pid, signal.SIGKILL)
        waiting.communicate()


def test_requests_cost_no_more_calls_than_they_did_however_many_processes_there_are(
    tmp_path: Path, data: Data
) -> None:
    with crowd():
        found = measured(tmp_path / "trace", data)
    assert found == {kind: pytest.approx(0, abs=most) for kind, most in MOST.items()}
