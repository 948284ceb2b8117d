"""A sandbox that stands ready: builds get it if it fits, it is as if made for them, nothing of it is left."""

from __future__ import annotations

import errno
import os
import re
import select
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from fruix import failpoints
from fruix.dataclass import replace
from fruix.errors import SandboxError, StillRunningError
from fruix.sandbox import Bind, Entry, Exec, Exit, File, Identity, SandboxHandle, SandboxSpec, Spawner, Tmpfs
from fruix.sandbox.back_ends import current
from fruix.sandbox.linux import libc
from fruix.sandbox.linux.cgroup import Cgroup, CgroupParent, mount_point, remove_left_over
from fruix.sandbox.linux.child import EARLY_STEPS, STEPS
from fruix.sandbox.linux.processes import is_elsewhere
from fruix.sandbox.networks import HOST
from fruix.sandbox.spawner.client import ParkingHandle
from fruix.sandbox.spawner.ipc import ParkRequest
from machine import BUSYBOX, SEVERAL_IDS, identity, own_mounts
from seen_processes import children_of, descriptors_of, state_of
from waiting import PATIENCE, read_until, until

NAME = "frx-parked-test"
LATER = [name for name, _ in STEPS[len(EARLY_STEPS) :]]
LOOK = """
grep -E -e '^(Sig|Shd|Cap|Uid|Gid|Groups|NoNew|Seccomp|Umask|Cpus|Mems|NSpid|NSsid)' /proc/self/status
cat /proc/self/limits /proc/self/cgroup /proc/keys /proc/net/dev /proc/net/if_inet6
cat /proc/self/oom_score_adj /proc/self/coredump_filter /proc/self/personality
hostname; domainname; umask; pwd; env; id
cut -d' ' -f4- /proc/self/mountinfo
ls -lan / /dev /etc /proc/self/fd /build
cat /etc/*
"""


class Here:
    """A spawner, what it may have ready, and a directory for roots."""

    def __init__(self, spawner: Spawner, directory: Path) -> None:
        self.spawner = spawner
        self.directory = directory
        self.log = directory / "log"
        self.request = ParkRequest(NAME, str(directory / "parked"))
        self.handle: ParkingHandle | None = None

    def park(self, fault: str = "") -> int:
        """Have one ready; its process, or 0 if there is a fault."""
        request = replace(self.request, fault=fault)
        if self.handle is None:
            self.handle = self.spawner.park(request)
        else:
            self.handle.prepare(request)
        return 0 if fault else self.ready()

    def children(self) -> list[int]:
        """Sandboxes; the process that they are cloned from has no process namespace of its own."""
        return [pid for pid in children_of(self.spawner.pid) if is_elsewhere(pid)]

    def ready(self) -> int:
        """The process that waits: it has closed all but its own."""

        def waits() -> int | None:
            alone = [pid for pid in self.children() if len(descriptors_of(pid)) == 5]
            return next((pid for pid in alone if state_of(pid) == "S"), None)

        return until(waits, "a sandbox that stands ready")

    def spawn(self, spec: SandboxSpec) -> SandboxHandle:
        with open(self.log, "wb") as log:
            return self.spawner.spawn(spec, log.fileno())

    def run(self, spec: SandboxSpec) -> tuple[int, Exit, str]:
        """Its first process, how it ended, and what it said."""
        handle = self.spawn(spec)
        ended = handle.wait(None)
        handle.finish()
        assert ended is not None
        return handle.pid, ended, self.log.read_text(errors="replace")

    def close(self) -> None:
        if self.handle is not None:
            self.handle.finish()
            self.handle = None


def groups() -> list[str]:
    parent = CgroupParent.find()
    return [] if parent is None else [name for name in os.listdir(parent.path) if name.startswith(NAME)]


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("programs") / "bin"
    place.mkdir()
    shutil.copy(BUSYBOX, place / "busybox")
    for applet in subprocess.check_output([BUSYBOX, "--list"], text=True).split():
        if applet != "busybox":
            (place / applet).symlink_to("busybox")
    return place


@pytest.fixture
def here(tmp_path: Path, programs: Path) -> Iterator[Here]:
    with spawning(tmp_path, programs) as one:
        yield one


@contextmanager
def spawning(tmp_path: Path, programs: Path) -> Iterator[Here]:
    own_mounts()
    tmp_path.chmod(0o755)
    for name in ("parked", "root", "build"):
        (tmp_path / name).mkdir()
    (tmp_path / "build").chmod(0o777)
    shutil.copytree(programs, tmp_path / "bin", symlinks=True)
    spawner = Spawner.start()
    one = Here(spawner, tmp_path)
    try:
        yield one
        one.close()
        assert children_of(spawner.pid) == []
        assert groups() == []
        assert os.listdir(tmp_path / "parked") == []
    finally:
        spawner.close()


def spec(here: Here, script: str = LOOK) -> SandboxSpec:
    directory = here.directory
    return SandboxSpec(
        "frx-test-of-parked",
        str(directory / "root"),
        identity(35009),
        Exec("/bin/sh", ("sh", "-c", script), {"PATH": "/bin", "A": "ü"}, "/build"),
        binds=(Bind(f"{directory}/bin", "/bin"), Bind(f"{directory}/build", "/build", writable=True)),
        files=(File("/etc/hosts", b"127.0.0.1 here\n"), File("/etc/run", b"x", 0o555)),
        tmpfs=(Tmpfs("/memory", 1 << 20, 0o1777),),
        hostname="seen",
        limits={"nproc": (100, 200), "fsize": (1 << 20, 1 << 20)},
    )


def listing(text: str) -> str:
    """Without times and file systems' numbers, and links of /proc, which are processes."""
    text = re.sub(r"(?m)^(d\S{9}) +\d+ .* proc$", r"\1 proc", text)
    return re.sub(r"\b[A-Z][a-z]{2} +\d+ +\d\d:\d\d|\b\d+:\d+ |pipe:\[\d+\]|inode64|/proc/\d+", "~", text)


KINDS: Mapping[str, Mapping[str, Any]] = {
    "plain": {},
    "user namespace": {"identity": Identity(35009, 35009, 1000, 100, user_namespace=True)},
    "root open": {"sealed_root": False},
    "limits": {"memory_max": 1 << 28, "pids_max": 50},
}


@SEVERAL_IDS
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_as_a_fresh_one(here: Here, kind: str) -> None:
    wanted = replace(spec(here), **KINDS[kind])
    _, ended, fresh = here.run(wanted)
    assert ended.code == 0, fresh
    ready = here.park()
    pid, ended, seen = here.run(wanted)
    assert (pid, ended.code) == (ready, 0), seen
    assert listing(seen) == listing(fresh)
    assert "CapBnd:\t0000000000000000" in seen
    assert "127.0.0.1 here" in seen


def test_a_terminal_of_its_own(here: Here) -> None:
    ready = here.park()
    outer, inner = os.openpty()
    handle = here.spawner.spawn(replace(spec(here, "echo x > /dev/tty; exit 3"), terminal=True), inner)
    os.close(inner)
    with open(outer, "rb", buffering=0) as terminal:
        assert read_until(terminal.fileno(), b"\n") == b"x\r\n"
        ended = handle.wait(None)
        handle.finish()
    assert ended is not None
    assert (handle.pid, ended.code) == (ready, 3)


NO_FIT: Mapping[str, Mapping[str, Any]] = {
    "entry": {"program": Entry("os:getpid", {})},
    "32 bits": {"personality": "linux32"},
    "large": {"files": tuple(File(f"/etc/{number}", bytes(1000)) for number in range(50))},
}


@pytest.mark.parametrize("kind", NO_FIT)
def test_others_get_a_fresh_one(here: Here, kind: str) -> None:
    ready = here.park()
    handle = here.spawn(replace(spec(here, "exit 0"), **NO_FIT[kind]))
    assert handle.pid != ready
    assert ready in here.children()
    handle.finish()
    assert here.run(spec(here, "exit 0"))[0] == ready


def test_with_the_hosts_network_it_is_not_used(here: Here) -> None:
    ready = here.park()
    try:
        pid, _, _ = here.run(replace(spec(here, "exit 0"), network=HOST))
    except SandboxError as error:  # without Landlock's scoping
        assert error.step == "landlock"  # noqa: PT017 - it may go well
        pid = 0
    assert pid != ready
    assert here.children() == [ready]


def test_one_is_ready_at_most_and_holds_nothing_of_others(here: Here) -> None:
    ready = here.park()
    handle = here.spawn(spec(here, "sleep 1000"))
    assert handle.pid == ready
    second = here.park()
    names = {
        os.readlink(f"/proc/{second}/fd/{number}").partition(":")[0] for number in descriptors_of(second)[3:]
    }
    assert names == {"socket", "pipe"}
    assert here.park() == second
    assert sorted(here.children()) == sorted((ready, second))
    third = here.spawn(spec(here, "sleep 1000"))
    fresh = here.spawn(spec(here, "sleep 1000"))
    assert (third.pid, fresh.pid in {ready, second}) == (second, False)
    for one in (handle, third, fresh):
        assert one.finish().signal == signal.SIGKILL


def test_a_mount_of_the_host_ends_it(here: Here) -> None:
    """So a build sees the new one, and nobody holds what is unmounted."""
    ready = here.park()
    place = here.directory / "place"
    place.mkdir()
    libc.mount(b"tmpfs", os.fsencode(place), b"tmpfs", 0)
    until(lambda: ready not in here.children(), "the end of the one that was ready")
    (place / "new").write_text("new")
    shown = replace(spec(here, "cat /place/new"), binds=(*spec(here).binds, Bind(str(place), "/place")))
    assert here.run(shown)[2] == "new"
    again = here.park()
    assert again != ready
    libc.umount(os.fsencode(place), 0)
    until(lambda: again not in here.children(), "the end of the second")
    assert here.run(shown)[1].code == 1
    assert here.run(spec(here, "exit 0"))[0] not in {ready, again}


def test_another_asks(here: Here) -> None:
    """What the first has asked for is ended, whether or not it has gone."""
    ready = here.park()
    first, here.handle = here.handle, None
    here.request = replace(here.request, name=f"{NAME}-other")
    here.handle = here.spawner.park(here.request)
    assert first is not None
    first.finish()
    second = here.ready()
    assert here.children() == [second]
    assert second != ready
    assert groups() in ([], [f"{NAME}-other"])
    assert here.run(spec(here, "exit 0"))[0] == second


def test_a_dead_one_is_not_used(here: Here) -> None:
    ready = here.park()
    os.kill(ready, signal.SIGKILL)
    until(lambda: state_of(ready) == "Z", "its end")
    pid, ended, _ = here.run(spec(here, "exit 0"))
    assert (pid == ready, ended.code) == (False, 0)
    assert here.park() not in {ready, pid}


def test_one_that_failed_early_is_not_used(here: Here) -> None:
    (here.directory / "parked").rmdir()
    here.handle = here.spawner.park(here.request)
    until(lambda: [pid for pid in here.children() if state_of(pid) == "Z"], "its end")
    assert here.run(spec(here, "exit 0"))[1].code == 0
    (here.directory / "parked").mkdir()
    ready = here.park()
    assert here.run(spec(here, "exit 0"))[0] == ready


@pytest.mark.parametrize("step", [step.name for step in current().steps if step.answered])
def test_if_it_cannot_be_made_builds_get_fresh_ones(here: Here, step: str) -> None:
    here.park(f"{step}:ENOSPC")
    assert here.run(spec(here, "exit 0"))[1].code == 0
    assert here.children() == []
    ready = here.park()
    assert here.run(spec(here, "exit 0"))[0] == ready


@pytest.mark.parametrize("step", ["release", *LATER])
def test_a_step_that_fails_after_the_word_is_named(here: Here, step: str) -> None:
    ready = here.park()
    with failpoints.armed(step), pytest.raises(SandboxError, match=f"step '{step}'"):
        here.spawn(spec(here))
    assert ready not in here.children()
    assert here.run(spec(here, "exit 0"))[1].code == 0


def test_its_group_gets_the_limits_of_the_build_that_takes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: Path
) -> None:
    """The group is in one of the spawner's own. What it is told is noted: not every machine can limit."""
    noted = tmp_path / "noted"

    def note(group: Cgroup, **limits: int) -> list[str]:
        noted.write_text(f"{group.path} {limits}")
        return []

    monkeypatch.setattr(Cgroup, "set_limits", note)
    with spawning(tmp_path, programs) as here:
        ready = here.park()
        if not groups():
            pytest.skip("machine: no control groups")
        group = Path(f"/proc/{ready}/cgroup").read_text().rpartition("0::")[2].strip()
        assert re.search(rf"/{NAME}/frx-\d+$", group)
        assert not noted.exists()
        assert here.run(replace(spec(here, "exit 0"), pids_max=50))[0] == ready
    assert noted.read_text() == f"{mount_point()}{group} {{'memory_max': 0, 'pids_max': 50}}"


def test_the_spawners_death_ends_it(tmp_path: Path) -> None:
    (tmp_path / "parked").mkdir()
    spawner = Spawner.start()
    one = Here(spawner, tmp_path)
    ready = one.park()
    end = os.pidfd_open(ready)
    os.kill(spawner.pid, signal.SIGKILL)
    spawner.close()
    assert select.select([end], [], [], PATIENCE)[0]
    os.close(end)
    assert one.handle is not None
    with pytest.raises(StillRunningError):
        one.handle.finish()
    parent = CgroupParent.find()
    if parent is not None:
        assert remove_left_over([parent.group(NAME)]) == [parent.group(NAME)]


def template_of(here: Here) -> int:
    (found,) = {*children_of(here.spawner.pid)} - {*here.children()}
    return found


def test_all_are_cloned_from_one_process_that_holds_nothing(here: Here) -> None:
    here.park()
    template = template_of(here)
    assert here.run(spec(here, "exit 0"))[1].code == 0
    here.park()
    assert template_of(here) == template
    assert len(descriptors_of(template)) == 4
    status = Path(f"/proc/{template}/status").read_text()
    assert re.search(r"NSsid:\t(\d+)", status)[1] == str(template), "no terminal interrupts it"  # type: ignore[index]
    assert children_of(template) == []


def test_if_that_process_dies_builds_get_fresh_ones_until_there_is_another(here: Here) -> None:
    here.park()
    template = template_of(here)
    os.kill(template, signal.SIGKILL)
    until(lambda: state_of(template) == "Z", "its end")
    assert here.run(spec(here, "exit 0"))[1].code == 0  # the one that stood ready
    assert here.handle is not None
    here.handle.prepare(here.request)
    assert here.run(spec(here, "exit 0"))[1].code == 0
    ready = here.park()
    assert template_of(here) != template
    assert here.run(spec(here, "exit 0"))[0] == ready


def test_of_one_that_was_cloned_by_a_process_that_died_before_it_could_tell_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: Path
) -> None:
    real = libc.clone

    def clone(flags: int, group: int) -> int:
        pid = real(flags, group)
        if pid and flags & libc.CLONE_PARENT:
            os.kill(os.getpid(), signal.SIGKILL)
        return pid

    monkeypatch.setattr("fruix.sandbox.linux.template.libc.clone", clone)
    with spawning(tmp_path, programs) as here:
        here.handle = here.spawner.park(here.request)
        for _ in range(2):
            _, ended, _ = here.run(spec(here, "exit 0"))
            assert ended.code == 0
            here.handle.prepare(here.request)
        assert here.run(spec(here, "exit 0"))[1].code == 0
        if groups():
            assert here.children() == []


def test_one_that_cannot_be_cloned_is_no_sandbox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: Path
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.EAGAIN, "no more processes")

    monkeypatch.setattr("fruix.sandbox.linux.template.libc.clone", full)
    with spawning(tmp_path, programs) as here:
        here.handle = here.spawner.park(here.request)
        with pytest.raises(SandboxError, match="no more processes"):
            here.run(spec(here, "exit 0"))
        assert here.children() == []
