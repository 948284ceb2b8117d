"""A sandbox that stands ready: builds get it if it fits, it is as if made for them, nothing of it is left."""

from __future__ import annotations

import os
import re
import select
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fruix import failpoints
from fruix.dataclass import replace
from fruix.errors import SandboxError, StillRunningError
from fruix.sandbox import Bind, Entry, File, Identity, Spawner
from fruix.sandbox.back_ends import current
from fruix.sandbox.linux import libc
from fruix.sandbox.linux.cgroup import Cgroup, CgroupParent, mount_point, remove_left_over
from fruix.sandbox.linux.child import EARLY_STEPS, STEPS
from fruix.sandbox.networks import HOST
from machine import SEVERAL_IDS
from ready_sandboxes import NAME, Here, groups, spawning, spec
from seen_processes import descriptors_of, state_of
from waiting import PATIENCE, read_until, until

LATER = [name for name, _ in STEPS[len(EARLY_STEPS) :]]


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
