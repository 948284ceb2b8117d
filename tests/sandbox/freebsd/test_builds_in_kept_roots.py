"""Whole builds in kept roots: what each still costs, counted, and what a crash in one leads to."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import crashing
from freebsd_double.double import Double
from fruix import failpoints
from fruix.client import RemoteStore, connect
from fruix.model.storepath import StorePath
from fruix.sandbox.back_ends import current
from fruix.store import Layout, LocalStore
from fruix.testing.traces import traces
from machine import SEVERAL_IDS, Machine, jails, machine, private_frx
from seen_processes import parent_of
from waiting import until

pytestmark = SEVERAL_IDS
UID = 35001
BUILDS = Path(Layout().builds)


@pytest.fixture(autouse=True)
def nothing_runs_on() -> Iterator[None]:
    yield
    crashing.clear_away()


Counts = tuple[Counter[str], Counter[str]]


class Book:
    """What was called and reached, by any process, a line each."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()

    def take(self) -> Counts:
        """The counts since the last time: those before the answer, and the rest."""
        before, _, behind = self.path.read_text().partition("answer\n")
        self.path.write_text("")
        return Counter(before.split()), Counter(behind.split())

    def stands_ready(self) -> None:
        """Wait until a jail stands for the next build, and nothing is done any more."""
        until(lambda: "stands\n" in self.path.read_text(), "a parked jail")
        until(lambda: list(BUILDS.glob("roots/*/parked")), "its note")


@contextmanager
def counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Book]:
    """Jails whose kernel counts its calls, a `pwd_mkdb` that counts its runs, and counted processes."""
    book, program = Book(tmp_path / "calls"), tmp_path / "pwd_mkdb"
    program.write_text(f'#!/bin/sh\necho pwd_mkdb >> {book.path}\n: > "$2/pwd.db"\n: > "$2/spwd.db"\n')
    program.chmod(0o755)
    monkeypatch.setattr("fruix.sandbox.freebsd.users._PROGRAM", str(program))
    for name in ("nmount", "unmount", "getfsstat", "jail_set"):
        monkeypatch.setattr(Double, name, counting(name, getattr(Double, name), book.path))
    monkeypatch.setattr(os, "fork", counting("fork", os.fork, book.path))
    names = {"answer": "answer", "park-own": "stands"}

    def note(step: str) -> None:
        if step in names:
            with open(book.path, "a", encoding="ascii") as file:
                file.write(f"{names[step]}\n")

    failpoints.watch(note)
    try:
        with jails():
            yield book
    finally:
        failpoints.watch(None)


def counting(name: str, call: Callable[..., object], book: Path) -> Callable[..., object]:
    def counted_call(*arguments: object) -> object:
        with open(book, "a", encoding="ascii") as file:
            file.write(f"{name}\n")
        return call(*arguments)

    return counted_call


# How often the mount table may be read: the next jail's supervisor looks until the last mounts have gone.
LOOKS = Counter(getfsstat=1000)
# What of the next jail can come before the answer: its supervisor is forked, which then waits for that.
AHEAD = LOOKS + Counter(fork=1)


def test_what_a_build_costs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One input and the store's directory are mounted in a jail that stands ready and gets the build's name.

    Behind the answer they are unmounted, and the next jail is made, with a /dev of its own. Users'
    databases are made for the first build alone.
    """
    with counted(tmp_path, monkeypatch) as book, machine() as here:
        shell = here.shell(tmp_path)
        script = "ls /etc > $out; echo x > /tmp/x; echo x > /build/x"
        first, second, third = (here.derivation(name, script, shell) for name in ("first", "second", "third"))
        book.take()
        assert [result.success for result in here.build(first)] == [True]
        book.stands_ready()
        before, behind = book.take()
        assert before - LOOKS - Counter(fork=3) == {"pwd_mkdb": 1, "nmount": 3, "jail_set": 1}
        assert (before + behind)["fork"] == 4
        for drv in (second, third):
            assert [result.success for result in here.build(drv)] == [True]
            book.stands_ready()
            before, behind = book.take()
            assert before - AHEAD == {"nmount": 2, "jail_set": 1}
            assert before + behind - LOOKS == Counter(nmount=3, unmount=3, jail_set=2, fork=2, stands=1)
            assert {"passwd", "pwd.db", "spwd.db"} <= set(here.output(drv).read_text().split())
        (root,) = BUILDS.glob("roots/*/root")
        assert sorted(path.name for path in root.iterdir()) == ["dev", "etc", "frx"]
        assert os.listdir(root / "frx/store") == []


def test_nothing_of_one_build_is_there_for_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may write to its own directories alone; none of the root's can be changed."""
    with counted(tmp_path, monkeypatch) as _, machine() as here:
        shell = here.shell(tmp_path)
        vandal = """
        for place in / /etc /dev /frx /etc/passwd; do
            (echo x > $place/x || echo x >> $place || mv $place /tmp/x ||
                chmod 777 $place || rm -rf $place) 2>/dev/null
        done
        mkdir -p /tmp/left /build/left; echo x > $NIX_STORE/left; echo done > $out
        """
        look = "ls -lR / | grep -v '^total' > $out"
        listings = []
        for name, script in (("one", look), ("vandal", vandal), ("two", look)):
            drv = here.derivation(name, f"{script} # {name}", shell)
            (result,) = here.build(drv)
            assert result.success, result.message
            listings.append(here.output(drv).read_text())
        assert "left" not in listings[2]
        assert names(listings[0]) == names(listings[2])


def names(listing: str) -> list[str]:
    """Modes, owners and names, but for what is named after the derivation or listed while it is written."""
    rows = [line.split() for line in listing.splitlines() if line]
    return sorted(
        " ".join((row[0], *row[2:4], row[-1]))
        for row in rows
        if "-one" not in row[-1] and "-two" not in row[-1]
    )


def test_a_supervisor_killed_in_a_kept_root(tmp_path: Path) -> None:
    """The spawner unmounts in its place and brings the build's directories back.

    The root is as good as before.
    """
    with jails(), machine() as here:
        shell = here.shell(tmp_path)
        assert here.build(here.derivation("first", "echo x > $out", shell))[0].success
        before = os.listdir(BUILDS / "roots")
        script = "echo x > /build/x; echo x > $out; until test -e /tmp/never; do sleep 0.1; done"
        drv = here.derivation("endless", script, shell)
        killer = threading.Thread(target=kill_supervisor)
        killer.start()
        (result,) = here.build(drv)
        killer.join()
        assert not result.success
        assert traces(here.store.layout) == []
        assert os.listdir(BUILDS / "roots") == before
        again = here.derivation("again", "ls /build /tmp > $out", shell)
        assert here.build(again)[0].success
        assert here.output(again).read_text() == "/build:\n\n/tmp:\n"


def kill_supervisor() -> None:
    """That of the build that runs, once its directory is in the root."""
    until(lambda: list(BUILDS.glob("roots/*/root/build/x")), "a build in a kept root")
    (pid,) = {parent_of(builder) for builder in current().processes_of(UID)} - set(
        current().processes_of(UID)
    )
    os.kill(pid, signal.SIGKILL)


def test_all_killed_in_a_kept_root(tmp_path: Path) -> None:
    """The next start undoes it and deletes the root with what the build left in it.

    The build then makes a new one.
    """
    with jails(), private_frx():
        with LocalStore(Layout()) as store:
            shell = Machine(store, None).shell(tmp_path)  # type: ignore[arg-type]
            drv = derivation_of(store, "endless", shell, "until test -e /tmp/never; do sleep 0.1; done")
            first = derivation_of(store, "first", shell, ":")
        daemon = crashing.start_daemon()
        with crashing.connected(daemon) as remote:
            assert crashing.ask(first)[1]["status"] == "BUILT"
            assert crashing.traces(remote) == []  # so its user is the next build's too
        client = crashing.child(lambda: crashing.ask(drv)[0])
        until(lambda: list(BUILDS.glob("roots/*/root/build/x")), "a build in a kept root")
        (spawned,) = BUILDS.glob("roots/*/root/build/x")
        processes = current().processes_of(UID)
        (supervisor,) = {parent_of(builder) for builder in processes} - set(processes)
        for pid in (daemon, parent_of(supervisor), supervisor):
            os.kill(pid, signal.SIGKILL)
        crashing.exit_of(daemon)
        crashing.exit_of(client)
        assert spawned.exists()
        after = crashing.start_daemon()
        try:
            with crashing.connected(after):
                assert traces(Layout()) == []
                assert os.listdir(BUILDS / "roots") == []
            again = derivation_again(shell)
            assert crashing.ask(again)[1]["status"] == "BUILT"
            (root,) = BUILDS.glob("roots/*/root")
            assert not (root / "build").exists()
        finally:
            os.kill(after, signal.SIGTERM)
            crashing.exit_of(after)


def derivation_of(store: LocalStore | RemoteStore, name: str, shell: StorePath, script: str) -> StorePath:
    here = Machine(store, None)  # type: ignore[arg-type]
    return here.derivation(name, f"echo x > /build/x; {script}; echo x > $out", shell)


def derivation_again(shell: StorePath) -> StorePath:
    with connect(Layout().socket, Layout().store) as store:
        return derivation_of(store, "again", shell, ":")
