"""Parked jails: for which builds they are, and that nothing of one is left whoever is killed."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

import crashing
from freebsd_double import processes
from freebsd_double.double import Double
from freebsd_double.kernel_state import Jail
from fruix.model.storepath import StorePath
from fruix.sandbox import Bind, Exec, File, Identity, SandboxSpec, Spawner, Tmpfs
from fruix.sandbox.back_ends import current
from fruix.sandbox.freebsd import parking
from fruix.sandbox.freebsd.start import PARKING
from machine import BUSYBOX, SEVERAL_IDS, jails
from seen_processes import descriptors_of, parent_of
from waiting import until

pytestmark = SEVERAL_IDS
UID = 35029
Change = Callable[["Bench", SandboxSpec], SandboxSpec]
LOOK = "ls -A / /build /tmp /memory /out; cat /usr/kind; hostname; id; echo x > /out/result; echo x > /tmp/x"


@dataclass
class Bench:
    """A spawner, and directories of builds as the daemon makes them."""

    scratch: Path
    kernel: Double
    spawner: Spawner

    @property
    def builds(self) -> Path:
        return self.scratch / "builds"

    def spec(self, name: str, script: str = LOOK) -> SandboxSpec:
        base = self.builds / name
        for directory in ("root", "store", "tmp", "build"):
            (base / directory).mkdir(parents=True)
        for directory in ("tmp", "build", "store"):
            os.chown(base / directory, UID, UID)
        return SandboxSpec(
            id=name,
            root=f"{base}/root",
            identity=Identity(UID, UID, UID, UID),
            program=Exec("/usr/bin/sh", ("sh", "-c", f"PATH=/usr/bin; {script}"), {}, "/build"),
            binds=(
                Bind(f"{self.scratch}/view", "/usr"),
                Bind(f"{base}/store", "/out", writable=True),
                Bind(f"{base}/tmp", "/tmp", writable=True),
                Bind(f"{base}/build", "/build", writable=True),
                Bind(f"{self.scratch}/input", "/out/input"),
            ),
            files=(File("/etc/hosts", b"127.0.0.1 localhost\n"),),
            tmpfs=(Tmpfs("/memory", 1 << 20, 0o1777),),
            hostname="localhost",
        )

    def run(self, spec: SandboxSpec) -> str:
        """What a sandbox says, to its very end as the daemon sees to it."""
        log = self.scratch / "log"
        with open(log, "wb") as file:
            child = self.spawner.spawn(spec, file.fileno())
        assert child.wait(None) is not None
        ended = child.finish()
        assert ended.code == 0, log.read_text()
        shutil.rmtree(os.path.dirname(spec.root))
        return log.read_text()

    def parked(self) -> Jail | None:
        """The jail that stands ready."""
        with self.kernel.state.tables() as tables:
            found = [jail for jail in tables.jails if jail.name.startswith("frx-parked-")]
        return next((jail for jail in found if processes.in_space(jail.space)), None)

    def stands(self) -> int:
        """Wait until one does; the number of its process."""
        until(self.parked, "a jail")
        jail = self.parked()
        assert jail is not None
        until(lambda: self.mounted() == {"usr", "dev", "memory"}, "its mounts alone")
        (pid,) = processes.in_space(jail.space)
        # Not before it waits: its supervisor sleeps then too.
        until(lambda: len(descriptors_of(pid)) == 5, "a process that waits")
        return pid

    def mounted(self) -> set[str]:
        """The last parts of all mount points."""
        return {os.fsdecode(os.path.basename(row.target)) for row in self.kernel.getfsstat()} - {""}

    def made(self) -> int:
        """How many jails have been made."""
        with self.kernel.state.tables() as tables:
            return tables.last_jid


@pytest.fixture(autouse=True)
def nothing_runs_on() -> Iterator[None]:
    yield
    crashing.clear_away()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    tmp_path.chmod(0o755)
    (tmp_path / "builds").mkdir(mode=0o700)
    (tmp_path / "input").mkdir()
    make_view(tmp_path / "view", "the first")
    with jails() as kernel:
        found = Bench(tmp_path, kernel, Spawner.start())
        try:
            yield found
        finally:
            found.spawner.close()


def make_view(view: Path, kind: str) -> None:
    (view / "bin").mkdir(parents=True)
    shutil.copy(BUSYBOX, view / "bin/busybox")
    for applet in ("sh", "ls", "cat", "id", "hostname", "sleep"):
        (view / "bin" / applet).symlink_to("busybox")
    (view / "kind").write_text(f"{kind}\n")


def test_a_build_in_a_parked_jail_sees_what_one_in_a_fresh_one_sees(bench: Bench) -> None:
    first = bench.run(bench.spec("frx-first"))
    for number in range(3):
        bench.stands()
        before = bench.made()
        assert bench.run(bench.spec(f"frx-{number}")) == first
        bench.stands()
        assert bench.made() == before + 1  # for the next one


def view_replaced(bench: Bench, spec: SandboxSpec) -> SandboxSpec:
    (bench.scratch / "view").rename(bench.scratch / "old")
    make_view(bench.scratch / "view", "the second")
    return spec


def view_removed(bench: Bench, spec: SandboxSpec) -> SandboxSpec:
    """As when one has been prepared anew."""
    shutil.rmtree(bench.scratch / "view")
    make_view(bench.scratch / "view", "the second")
    return spec


def another_view(bench: Bench, spec: SandboxSpec) -> SandboxSpec:
    make_view(bench.scratch / "other", "the second")
    return replace(spec, binds=(Bind(f"{bench.scratch}/other", "/usr"), *spec.binds[1:]))


def another_name(_bench: Bench, spec: SandboxSpec) -> SandboxSpec:
    return replace(spec, hostname="other")


def other_memory(_bench: Bench, spec: SandboxSpec) -> SandboxSpec:
    return replace(spec, tmpfs=(Tmpfs("/memory", 1 << 21, 0o1777),))


def another_network(_bench: Bench, spec: SandboxSpec) -> SandboxSpec:
    return replace(spec, network="host")


def another_release(bench: Bench, spec: SandboxSpec) -> SandboxSpec:
    """Of the base system that is shown: it is told to the jail when it is made."""
    (bench.scratch / "view/include/sys").mkdir(parents=True)
    (bench.scratch / "view/include/sys/param.h").write_text("#define __FreeBSD_version 1302001\n")
    (bench.scratch / "sbin").mkdir()
    (bench.scratch / "sbin/freebsd-version").write_text('USERLAND_VERSION="13.2-RELEASE-p4"\n')
    return replace(spec, binds=(*spec.binds[:1], Bind(f"{bench.scratch}/sbin", "/bin"), *spec.binds[1:]))


CHANGES: Mapping[Change, str] = {
    view_replaced: "what is shown of the host",
    view_removed: "what is shown of the host",
    another_view: "what is shown of the host",
    another_name: "parameters of the jail",
    other_memory: "file systems in memory",
    another_network: "parameters of the jail",
    another_release: "",  # it needs another root
}


@pytest.mark.parametrize("change", CHANGES)
def test_it_is_for_the_likes_of_the_build_before_alone(
    bench: Bench, change: Change, capfd: pytest.CaptureFixture[str]
) -> None:
    bench.spawner.close()
    bench.spawner = Spawner.start()  # whose words are captured
    bench.run(bench.spec("frx-first"))
    bench.stands()
    before = bench.made()
    said = bench.run(change(bench, bench.spec("frx-second")))
    until(lambda: bench.made() == before + 2, "a jail for this one, and one for the next")
    assert ("the second" in said) == ("view" in change.__name__)
    why = CHANGES[change]
    told = f"fruix: the jail that stands ready isn't for frx-second: {why}\n" if why else ""
    assert capfd.readouterr().err == told


def test_what_is_mounted_on_the_host_meanwhile_is_shown(bench: Bench) -> None:
    (bench.scratch / "view/local").mkdir()
    (bench.scratch / "disk").mkdir()
    (bench.scratch / "disk/found").touch()
    bench.run(bench.spec("frx-first", "test ! -e /usr/local/found"))
    bench.stands()
    from double_bench import Bench as Calls

    (bench.scratch / "calls").mkdir()
    calls = Calls(bench.scratch / "calls")
    calls.kernel = bench.kernel
    calls.mount("nullfs", f"{bench.scratch}/view/local", f"{bench.scratch}/disk")
    try:
        bench.run(bench.spec("frx-second", "ls /usr/local/found"))
    finally:
        bench.spawner.close()
        bench.kernel.unmount(os.fsencode(f"{bench.scratch}/view/local"), 0)


@pytest.mark.parametrize("victims", ["jail", "supervisor", "both"])
def test_one_that_is_killed_is_made_anew(bench: Bench, victims: str) -> None:
    first = bench.run(bench.spec("frx-first"))
    pid = bench.stands()
    supervisor = parent_of(pid)
    for victim in {"jail": [pid], "supervisor": [supervisor], "both": [supervisor, pid]}[victims]:
        os.kill(victim, signal.SIGKILL)
    if victims == "jail":
        until(lambda: bench.mounted() == set(), "its supervisor to undo it")
        until(lambda: not list(bench.builds.glob("roots/*/parked")), "its note to go")
    assert bench.run(bench.spec("frx-second")) == first
    bench.stands()


def test_nobody_is_waited_for_for_ever(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parking, "IDLE", 0.1)
    bench.spawner.close()
    bench.spawner = Spawner.start()
    first = bench.run(bench.spec("frx-first"))
    until(lambda: bench.made() == 2 and bench.mounted() == set(), "its end")
    assert bench.parked() is None
    assert bench.run(bench.spec("frx-second")) == first
    bench.spawner.close()


@pytest.mark.parametrize("alone", [True, False])
def test_what_is_left_when_the_spawner_is_killed(bench: Bench, alone: bool) -> None:
    """Its supervisor undoes it; if that is killed too, the next start does."""
    bench.run(bench.spec("frx-first"))
    supervisor = parent_of(bench.stands())
    for victim in [bench.spawner.pid, *([] if alone else [supervisor])]:
        os.kill(victim, signal.SIGKILL)
    if not alone:
        until(lambda: current().mounts_below(str(bench.builds)), "mounts that are nobody's")
    current().end_leftovers(str(bench.builds), {})
    assert (bench.mounted() == set()) == alone
    current().unmount_leftovers(str(bench.builds))
    assert bench.mounted() == set()
    assert list(bench.builds.glob("roots/*/parked")) == []


CASES = [(step.name, victim) for step in PARKING for victim in ("", *step.victims)]


shell = crashing.stored_shell()


@pytest.mark.parametrize(("step", "victim"), CASES)
def test_a_crash_while_one_is_made(step: str, victim: str, shell: StorePath) -> None:
    """The build has its answer, or asks again; the next start leaves no trace; builds go on."""
    ends: dict[str, Any] = {"daemon": -signal.SIGKILL, "spawner": 1}
    with jails():
        daemon = crashing.start_daemon(f"{step}:{victim}" if victim else step)
        with crashing.connected(daemon) as store:
            drvs = [crashing.derivation(store, f"{step}-{victim}-{number}", shell) for number in range(3)]
            for drv in drvs[: 1 if victim in ends else 2]:
                # A supervisor that is killed may have been given the second build already.
                other = {"": "BUILT", "builder": "PERMANENT_FAILURE", "daemon": "DisconnectedError"}.get(
                    victim
                )
                heard = crashing.ask(drv)[1]
                assert heard["status"] in {"BUILT", other or heard["status"]}, heard
            if victim not in ends:
                # What a killed supervisor leaves lies there until its root is used, or the daemon ends.
                assert victim == "builder" or crashing.traces(store) == []
                os.kill(daemon, signal.SIGTERM)
        assert crashing.exit_of(daemon) == ends.get(victim, 0)
        after = crashing.start_daemon()
        with crashing.connected(after) as store:
            assert crashing.traces(store) == []
            for drv in drvs:
                assert crashing.ask(drv)[1]["status"] in {"BUILT", "ALREADY_VALID"}
            assert crashing.traces(store) == []
        os.kill(after, signal.SIGTERM)
        assert crashing.exit_of(after) == 0
