"""Build users, journal entries, control groups and the doctor's probes."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import threading
from pathlib import Path

import pytest

from fruix.errors import FruixError
from fruix.sandbox import Journal, JournalEntry, UserLocks, UserPool, machine_directory
from fruix.sandbox.back_ends import current
from fruix.sandbox.capabilities import probe
from fruix.sandbox.linux import cgroup
from fruix.sandbox.linux.cgroup import LEAF, Cgroup, CgroupParent, remove_left_over
from machine import SEVERAL_IDS
from waiting import PATIENCE


def test_each_build_has_its_own_user(tmp_path: Path) -> None:
    pool = UserPool(UserLocks(str(tmp_path)), [35021, 35022])
    with pool.acquire() as first, pool.acquire() as second:
        assert (first.uid, first.gid, second.uid) == (35021, 35021, 35022)
    with pool.acquire() as again:
        assert again.uid in {35021, 35022}


def test_a_directory_that_somebody_removed_is_made_again(tmp_path: Path) -> None:
    """A user's own cache directory may be cleared while the daemon runs."""
    locks = UserLocks(str(tmp_path / "cache" / "users"))
    with UserPool(locks, [35021]).acquire() as user:
        assert user.uid == 35021
    assert (tmp_path / "cache/users").stat().st_mode & 0o777 == 0o700


def test_who_comes_late_waits(tmp_path: Path) -> None:
    class Seen(threading.Condition):
        def wait(self, timeout: float | None = None) -> bool:
            waits.set()
            return super().wait(timeout)

    pool, waits = UserPool(UserLocks(str(tmp_path)), [35023]), threading.Event()
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


def test_those_who_look_do_not_see_each_other(tmp_path: Path) -> None:
    """Self-tests look at the users of each other's builds.

    A look is no build, nor is the name in a lock that is free.
    """
    locks = UserLocks(str(tmp_path), "a daemon")
    with UserPool(locks, [35024]).acquire():
        assert locks.noted(35024) == locks.holder(35024)
    assert locks.noted(35024) == ""
    crashed = locks.take(35024)
    assert crashed is not None
    os.close(crashed)
    with (tmp_path / "35024").open() as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        assert locks.holder(35024) is None


def test_two_daemons_never_share_a_user(tmp_path: Path) -> None:
    locks = UserLocks(str(tmp_path), "the first daemon")
    with UserPool(locks, [35024]).acquire():
        assert locks.holder(35024) == f"the first daemon, process {os.getpid()}"
        with UserPool(UserLocks(str(tmp_path)), [35024, 35025]).acquire() as other:
            assert other.uid == 35025
    assert locks.holder(35024) is None


def test_a_daemon_waits_for_users_of_another(tmp_path: Path) -> None:
    """It may be given up while it waits; when the other's build has ended it goes on."""
    looks: list[int] = []

    def given_up() -> bool:
        looks.append(1)
        return len(looks) == 3

    locks = UserLocks(str(tmp_path))
    with UserPool(locks, [35024]).acquire():
        with pytest.raises(FruixError, match="cancelled"), UserPool(locks, [35024]).acquire(given_up):
            pass
        got: list[int] = []

        def late() -> None:
            with UserPool(UserLocks(str(tmp_path)), [35024]).acquire() as user:
                got.append(user.uid)

        thread = threading.Thread(target=late)
        thread.start()
    thread.join(60)
    assert got == [35024]


@SEVERAL_IDS
def test_a_user_with_processes_is_not_given_out(tmp_path: Path) -> None:
    sleeper = subprocess.Popen(["sleep", "1000"], user=35025)
    try:
        with UserPool(UserLocks(str(tmp_path)), [35025, 35026]).acquire() as user:
            assert user.uid == 35026
        with (
            pytest.raises(FruixError, match="in use by processes that are no builds"),
            UserPool(UserLocks(str(tmp_path)), [35025]).acquire(),
        ):
            pass
    finally:
        sleeper.kill()
        sleeper.wait()


def test_root_is_no_build_user(tmp_path: Path) -> None:
    with pytest.raises(FruixError, match="neither root"):
        UserPool(UserLocks(str(tmp_path)), [0])


def test_journal(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path / "journal"))
    assert journal.left_over() == []
    journal.write(JournalEntry.of("frx-a", 35001, ["abc-x"]))
    (entry,) = journal.left_over()
    assert (entry.name, entry.uid, entry.outputs) == ("frx-a", 35001, ("abc-x",))
    assert entry.marks == current().marks("frx-a")
    journal.forget("frx-a")
    assert journal.left_over() == []


@pytest.mark.parametrize(
    "garbage",
    [
        b'{"na',
        b"",
        b"\xff\xfe",
        b"7",
        b"[[1, 2], 3]",
        b"[" * 100000,
        b'{"uid": "root", "outputs": 7, "marks": [1]}',
        b'{"uid": -1, "outputs": [1, "../x", ".."], "marks": {"cgroup": 7}}',
        b'{"uid": 1e400, "outputs": null, "marks": null}',
    ],
)
def test_a_note_with_garbage_counts_by_its_name(tmp_path: Path, garbage: bytes) -> None:
    (tmp_path / "frx-torn.json").write_bytes(garbage)
    assert Journal(str(tmp_path)).left_over() == [JournalEntry("frx-torn")]


def test_what_is_no_note_of_a_build_is_none(tmp_path: Path) -> None:
    for name in (".json", "x.json", "frx-.json", "frx-a", "frx-A.json", "frx-a..b.json"):
        (tmp_path / name).touch()
    assert Journal(str(tmp_path)).left_over() == []


@pytest.mark.skipif(CgroupParent.find() is None, reason="machine: no writable cgroup v2 hierarchy")
def test_groups_kill_and_vanish() -> None:
    parent = CgroupParent.find()
    assert parent is not None
    group = parent.create(f"frx-test-{os.getpid()}")
    sleepers = [subprocess.Popen(["sleep", "1000"]) for _ in range(20)]
    for sleeper in sleepers:
        group.add(sleeper.pid)
    assert not group.remove_if_empty()
    group.kill()
    assert {sleeper.wait() for sleeper in sleepers} == {-9}
    group.wait_empty(10)
    assert group.usage()["user_usec"] >= 0
    group.remove()
    assert not os.path.exists(group.path)
    assert group.remove_if_empty(), "it is gone"


def test_figures_of_controllers_that_are_not_offered_are_not_looked_for(tmp_path: Path) -> None:
    group = tmp_path / "group"
    group.mkdir()
    (tmp_path / "cgroup.subtree_control").write_text("pids cpu\n")
    (group / "cpu.stat").write_text("usage_usec 5\nuser_usec 2\nsystem_usec 3\n")
    (group / "memory.peak").write_text("9\n")
    (group / "pids.peak").write_text("4\n")
    assert Cgroup(str(group)).usage() == {"user_usec": 2, "system_usec": 3, "pids_peak": 4}


@pytest.mark.skipif(CgroupParent.find() is None, reason="machine: no writable cgroup v2 hierarchy")
def test_groups_of_a_crashed_daemon_are_removed() -> None:
    parent = CgroupParent.find()
    assert parent is not None
    noted, other = (parent.create(f"frx-left-{os.getpid()}-{number}") for number in (1, 2))
    sleepers = [subprocess.Popen(["sleep", "1000"]) for _ in range(2)]
    for group, sleeper in zip((noted, other), sleepers, strict=True):
        group.add(sleeper.pid)
    thread = threading.Thread(target=sleepers[0].wait)
    thread.start()
    assert remove_left_over([noted]) == [noted]
    assert remove_left_over([noted]) == []
    thread.join()
    assert sleepers[1].poll() is None
    other.kill()
    sleepers[1].wait()
    other.remove()


@pytest.mark.skipif(CgroupParent.find() is None, reason="machine: no writable cgroup v2 hierarchy")
@pytest.mark.parametrize("name", ["", ".", "..", "../frx-x", "fruix.daemon"])
def test_only_a_sandbox_s_group_is_ever_removed(name: str) -> None:
    parent = CgroupParent.find()
    assert parent is not None
    assert remove_left_over([Cgroup(f"{parent.path}/{name}"), Cgroup(f"/tmp/{name}"), Cgroup("")]) == []


def test_locks_of_build_users_are_the_machine_s(tmp_path: Path) -> None:
    """One place for all of root's daemons, one for all of a user's; closed to others."""
    directory = machine_directory({"HOME": str(tmp_path)})
    assert directory is not None
    assert directory in {
        "/run/fruix/build-users",
        "/var/run/fruix/build-users",
        f"{tmp_path}/.cache/fruix/build-users",
    }
    assert os.stat(directory).st_mode & 0o7777 == 0o700


def test_a_directory_of_somebody_else_s_is_no_place_for_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert machine_directory({"HOME": str(tmp_path)}) is None
    assert machine_directory({}) is None


def test_the_doctor_finds_what_builds_need_here() -> None:
    found = {capability.name: capability for capability in probe(current().probes())}
    lacking = [capability for capability in found.values() if capability.needed and not capability.available]
    assert lacking == []
    assert found["seccomp"].detail.endswith("instructions")
    for capability in found.values():
        assert capability.available or capability.remedy


class FakeGroup:
    """A delegated group as the kernel presents it.

    Controllers are handed on only while no process is in it.
    """

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
    monkeypatch.setattr(cgroup, "write_to", fake.write)
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
