"""Build users, journal entries, control groups and the doctor's probes."""

from __future__ import annotations

import errno
import os
import subprocess
import threading
from pathlib import Path

import pytest

from fruix.errors import FruixError
from fruix.sandbox import Journal, UserPool
from fruix.sandbox.capabilities import probe
from fruix.sandbox.linux import cgroup
from fruix.sandbox.linux.cgroup import LEAF, CgroupParent, remove_leftovers
from fruix.sandbox.platform import current
from machine import SEVERAL_IDS
from waiting import PATIENCE


def test_each_build_has_its_own_user(tmp_path: Path) -> None:
    pool = UserPool(str(tmp_path), [35021, 35022])
    with pool.acquire() as first, pool.acquire() as second:
        assert (first.uid, first.gid, second.uid) == (35021, 35021, 35022)
    with pool.acquire() as again:
        assert again.uid in {35021, 35022}


def test_who_comes_late_waits(tmp_path: Path) -> None:
    class Seen(threading.Condition):
        def wait(self, timeout: float | None = None) -> bool:
            waits.set()
            return super().wait(timeout)

    pool, waits = UserPool(str(tmp_path), [35023]), threading.Event()
    pool._changed = Seen()
    got: list[int] = []

    def late() -> None:
        with pool.acquire() as user:
            got.append(user.uid)

    with pool.acquire():
        thread = threading.Thread(target=late)
        thread.start()
        assert waits.wait(PATIENCE)
        assert got == []
    thread.join()
    assert got == [35023]


def test_two_daemons_never_share_a_user(tmp_path: Path) -> None:
    with UserPool(str(tmp_path), [35024]).acquire(), pytest.raises(FruixError, match="in use by others"):  # noqa: SIM117
        with UserPool(str(tmp_path), [35024]).acquire():
            pass


@SEVERAL_IDS
def test_a_user_with_processes_is_not_given_out(tmp_path: Path) -> None:
    sleeper = subprocess.Popen(["sleep", "1000"], user=35025)
    try:
        with UserPool(str(tmp_path), [35025, 35026]).acquire() as user:
            assert user.uid == 35026
    finally:
        sleeper.kill()
        sleeper.wait()


def test_root_is_no_build_user(tmp_path: Path) -> None:
    with pytest.raises(FruixError, match="neither root"):
        UserPool(str(tmp_path), [0])


def test_journal(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path / "journal"))
    assert journal.left_over() == []
    journal.write("frx-a", uid=35001)
    (entry,) = journal.left_over()
    assert (entry.name, entry.fields["uid"]) == ("frx-a", 35001)
    journal.forget("frx-a")
    assert journal.left_over() == []
    (tmp_path / "journal" / "frx-torn.json").write_text('{"na')
    assert [(entry.name, entry.fields) for entry in journal.left_over()] == [("frx-torn", {})]
    journal.forget("frx-torn")
    assert journal.left_over() == []


@pytest.mark.skipif(CgroupParent.find() is None, reason="machine: no writable cgroup v2 hierarchy")
def test_groups_kill_and_vanish() -> None:
    parent = CgroupParent.find()
    assert parent is not None
    group = parent.create(f"frx-test-{os.getpid()}")
    sleepers = [subprocess.Popen(["sleep", "1000"]) for _ in range(20)]
    for sleeper in sleepers:
        group.add(sleeper.pid)
    group.kill()
    assert {sleeper.wait() for sleeper in sleepers} == {-9}
    group.wait_empty(10)
    assert group.usage()["user_usec"] >= 0
    group.remove()
    assert not os.path.exists(group.path)


@pytest.mark.skipif(CgroupParent.find() is None, reason="machine: no writable cgroup v2 hierarchy")
def test_groups_of_a_crashed_daemon_are_removed() -> None:
    parent = CgroupParent.find()
    assert parent is not None
    prefix = f"frx-left-{os.getpid()}"
    group = parent.create(f"{prefix}-1")
    sleeper = subprocess.Popen(["sleep", "1000"])
    group.add(sleeper.pid)
    threading.Thread(target=sleeper.wait).start()
    assert remove_leftovers(prefix) == [f"{prefix}-1"]
    assert remove_leftovers(prefix) == []


def test_the_doctor_finds_what_builds_need_here() -> None:
    found = {capability.name: capability for capability in probe(current().probes())}
    lacking = [capability for capability in found.values() if capability.needed and not capability.available]
    assert lacking == []
    assert found["seccomp"].detail.endswith("instructions")
    for capability in found.values():
        assert capability.available or capability.remedy


class FakeGroup:
    """A delegated group as the kernel presents it: controllers are handed on only while no process is in it."""

    def __init__(self, path: Path, processes: set[int], controllers: str = "cpu memory pids") -> None:
        self.path, self.processes, self.leaf = path, processes, set[int]()
        self.files = {"cgroup.controllers": controllers, "cgroup.subtree_control": ""}

    def read(self, name: str) -> str:
        if name == f"{self.path}/cgroup.procs":
            return " ".join(map(str, sorted(self.processes)))
        return self.files[os.path.basename(name)]

    def write(self, name: str, text: str) -> None:
        if name == f"{self.path}/{LEAF}/cgroup.procs":
            assert os.path.isdir(os.path.dirname(name))
            self.processes.remove(int(text))
            self.leaf.add(int(text))
        elif name == f"{self.path}/cgroup.subtree_control":
            if self.processes:
                raise OSError(errno.EBUSY, "busy")
            if text.removeprefix("+") not in self.files["cgroup.controllers"].split():
                raise OSError(errno.ENOENT, "no such controller")
            self.files["cgroup.subtree_control"] += text.replace("+", " ")


@pytest.mark.parametrize(
    ("inside", "controllers", "handed_on"),
    [
        ({10, 11}, "cpu memory pids", "memory pids cpu"),  # ours alone: a service with Delegate=yes
        ({10, 11, 99}, "cpu memory pids", ""),  # somebody else's too: a login session
        ({10, 11}, "", ""),  # nothing to hand on
        (set(), "cpu memory pids", ""),  # we are elsewhere
    ],
)
def test_the_daemon_makes_way_for_controllers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: set[int], controllers: str, handed_on: str
) -> None:
    fake = FakeGroup(tmp_path, set(inside), controllers)
    monkeypatch.setattr(cgroup, "text_of", fake.read)
    monkeypatch.setattr(cgroup, "_write", fake.write)
    CgroupParent(str(tmp_path)).make_way([10, 11])
    assert fake.files["cgroup.subtree_control"].split() == handed_on.split()
    assert fake.leaf == (inside if handed_on else set())
    assert fake.processes == (set() if handed_on else inside)


def test_from_its_leaf_the_daemon_finds_the_group_above(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroup, "mount_point", lambda: "/nowhere")
    monkeypatch.setattr(cgroup, "_own_group", lambda: f"/fruix.service/{LEAF}")
    monkeypatch.setattr(os, "mkdir", lambda _path: None)
    monkeypatch.setattr(os, "rmdir", lambda _path: None)
    parent = CgroupParent.find()
    assert parent is not None
    assert parent.path == "/nowhere/fruix.service"
