"""A sandbox's life under its supervisor.

Real processes, on a kernel that only keeps books (so nothing is isolated here).
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest.mock import ANY

import pytest

from fake_kernel import Fake
from fruix import failpoints
from fruix.errors import SandboxError, StoreError
from fruix.sandbox import Bind, Exec, File, Identity, Journal, SandboxSpec, Spawner, UserLocks, back_ends
from fruix.sandbox.freebsd import abi, mounts, reaper, supervisor
from fruix.sandbox.freebsd.abi import FileSystem
from fruix.sandbox.freebsd.back_end import FreeBSDBackEnd
from fruix.sandbox.freebsd.kernel import KernelError
from fruix.sandbox.freebsd.start import FAILPOINTS
from fruix.sandbox.linux.processes import processes_of
from fruix.sandbox.recover import recover
from machine import SEVERAL_IDS
from sandbox.freebsd.processes import UID, Processes
from seen_processes import parent_of
from waiting import exit_of, read_until, until

pytestmark = SEVERAL_IDS


@pytest.fixture
def spawner(tmp_path: Path) -> Iterator[Spawner]:
    before = back_ends.current()
    (tmp_path / "book").touch()
    (tmp_path / "b" / "root").mkdir(parents=True)
    tmp_path.chmod(0o755)
    back_ends.use(FreeBSDBackEnd(Processes(book=f"{tmp_path}/book")))
    process = Spawner.start()
    try:
        yield process
    finally:
        process.close()
        back_ends.use(before)
    lines = [line.split() for line in (tmp_path / "book").read_text().splitlines()]
    for base in {target.split("/root/")[0] for _, _, target in lines}:
        own = [(kind, target) for kind, _, target in lines if target.startswith(f"{base}/")]
        mounted = [target for kind, target in own if kind.startswith("+")]
        assert [target for kind, target in own if kind.startswith("-")] == mounted[::-1]
    assert processes_of(UID) == []


def spec(scratch: Path, script: str) -> SandboxSpec:
    (scratch / "source").mkdir(exist_ok=True)
    return SandboxSpec(
        "frx-test",
        f"{scratch}/b/root",
        Identity(UID, UID, UID, UID),
        Exec("/bin/sh", ("sh", "-c", script), {"PATH": "/usr/bin:/bin"}, "/"),
        binds=(Bind(f"{scratch}/source", "/usr/bin"),),
        files=(File("/etc/hosts", b"127.0.0.1 localhost\n"),),
    )


def run(spawner: Spawner, wanted: SandboxSpec, log: Path) -> tuple[int | None, int | None, str]:
    with open(log, "wb") as file:
        ended = spawner.spawn(wanted, file.fileno())
    assert ended.wait(None) is not None
    done = ended.finish()
    return done.code, done.signal, log.read_text()


def test_output_and_status(spawner: Spawner, tmp_path: Path) -> None:
    script = (
        "id -u; id -g; id -G; cat; ls -l /proc/self/fd | grep -c -- '->'; umask; ps -o sid= -p $$ >&2; exit 7"
    )
    code, number, said = run(spawner, spec(tmp_path, script), tmp_path / "log")
    lines = said.split()
    assert (code, number) == (7, None)
    # Descriptors of `ls`: the three standard ones and the directory it lists.
    assert lines[:5] == [str(UID)] * 3 + ["4", "0022"]
    (root,) = tmp_path.glob("roots/*/root")  # kept for the next build
    assert (root / "etc/hosts").read_text() == "127.0.0.1 localhost\n"
    assert root.stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "roots").stat().st_mode & 0o777 == 0o700


def test_without_databases_of_users_a_build_goes_on_and_says_so(
    spawner: Spawner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spawner.close()
    monkeypatch.setattr("fruix.sandbox.freebsd.users._PROGRAM", "/bin/false")
    fresh = Spawner.start()  # with the other program
    wanted = replace(spec(tmp_path, "echo on"), files=(File("/etc/passwd", b"a:x:1:1:A:/:/sh\n"),))
    try:
        code, _, said = run(fresh, wanted, tmp_path / "log")
    finally:
        fresh.close()
    assert code == 0
    assert said == "fruix: this build knows no users by name: Input/output error: /bin/false: \non\n"


def test_a_signal_is_told(spawner: Spawner, tmp_path: Path) -> None:
    assert run(spawner, spec(tmp_path, "kill -9 $$"), tmp_path / "log")[:2] == (None, 9)


def test_orphans_are_dead_before_the_end_is_told(spawner: Spawner, tmp_path: Path) -> None:
    script = "for i in 1 2 3; do (trap '' TERM HUP; setsid sleep 1000 >/dev/null 2>&1 &) ; done; exit 0"
    assert run(spawner, spec(tmp_path, script), tmp_path / "log")[0] == 0
    assert processes_of(UID) == []


def test_killing(spawner: Spawner, tmp_path: Path) -> None:
    with open(os.devnull, "wb") as log:
        child = spawner.spawn(spec(tmp_path, "sleep 1000 & wait"), log.fileno())
    assert child.wait(0) is None
    done = child.finish()
    assert (done.code, done.signal) == (None, signal.SIGKILL)


def test_a_supervisor_that_is_killed(spawner: Spawner, tmp_path: Path) -> None:
    """The spawner undoes in its place; a build whose end nobody saw counts as killed."""
    with open(os.devnull, "wb") as log:
        child = spawner.spawn(spec(tmp_path, "setsid sleep 1000 & wait"), log.fileno())
    until(lambda: child.pid in processes_of(UID), "a process of the build user")
    os.kill(parent_of(child.pid), signal.SIGKILL)
    ended = child.wait(None)
    assert ended is not None
    assert (ended.code, ended.signal) == (None, signal.SIGKILL)
    assert processes_of(UID) == []
    child.finish()


def test_the_spawners_end_ends_all(spawner: Spawner, tmp_path: Path) -> None:
    with open(os.devnull, "wb") as log:
        child = spawner.spawn(spec(tmp_path, "sleep 1000"), log.fileno())
    spawner.close()  # the fixture looks at what is left
    with pytest.raises(SandboxError, match="the spawner has gone"):
        child.finish()


def test_a_builder_is_ended_whose_birth_nobody_wants_to_hear_of(tmp_path: Path) -> None:
    """The spawner was killed while its supervisor forked.

    So the builder exists, and so does the lock that it inherited.
    """
    (tmp_path / "book").touch()
    (tmp_path / "b" / "root").mkdir(parents=True)
    tmp_path.chmod(0o755)
    pipes = {name: os.pipe() for name in ("status", "control", "birth", "result")}
    os.close(pipes["birth"][0])
    pid = os.fork()
    if pid == 0:
        kernel = Processes(book=f"{tmp_path}/book")
        mine = (2, pipes["status"][1], pipes["control"][0], pipes["birth"][1], pipes["result"][1])
        with failpoints.armed("session:spawner"):  # a builder that waits at its first step
            supervisor.run(kernel, spec(tmp_path, "exit 0"), mine)
    for _, writing in (pipes["status"], pipes["birth"], pipes["result"]):
        os.close(writing)
    read_until(pipes["status"][0], b"!spawner")
    os.close(pipes["control"][1])
    assert exit_of(pid) == 0
    with open(pipes["result"][0], "rb") as report:
        assert json.loads(report.read()) == {"exit": ANY, "left": "", "standing": None}
    os.close(pipes["status"][0])
    lock = os.open(tmp_path / "b", os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # a start doesn't wait for it
    os.close(lock)


def test_two_at_once(spawner: Spawner, tmp_path: Path) -> None:
    """Each supervisor lets go of the other's pipes, or neither end would ever be seen."""
    (tmp_path / "c" / "root").mkdir(parents=True)
    identity = Identity(UID - 1, UID - 1, UID - 1, UID - 1)
    other = replace(spec(tmp_path, "exit 3"), id="frx-other", root=f"{tmp_path}/c/root", identity=identity)
    with open(os.devnull, "wb") as log:
        first = spawner.spawn(spec(tmp_path, "exit 2"), log.fileno())
        second = spawner.spawn(other, log.fileno())
    for child, code in ((second, 3), (first, 2)):
        ended = child.wait(None)
        assert ended is not None
        assert ended.code == code
        child.finish()


def test_recovery_waits_for_a_supervisor(spawner: Spawner, tmp_path: Path) -> None:
    builds = tmp_path / "builds"
    (builds / "frx-test" / "root").mkdir(parents=True)
    wanted = replace(spec(tmp_path, "sleep 1000"), root=f"{builds}/frx-test/root")
    with open(os.devnull, "wb") as log:
        child = spawner.spawn(wanted, log.fileno())
    back_end = back_ends.current()
    assert back_end.mounts_below(str(builds)) != []
    os.kill(spawner.pid, signal.SIGKILL)
    back_end.end_leftovers(str(builds), {})
    assert back_end.mounts_below(str(builds)) == []
    with pytest.raises(SandboxError, match="the spawner has gone"):
        child.finish()
    assert processes_of(UID) == []


def test_what_can_not_be_unmounted_is_not_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(call: str, what: object) -> None:
        if call == "unmount":
            raise KernelError(call, errno.EBUSY, what=str(what))

    builds = tmp_path / "builds"
    (builds / "frx-left/root").mkdir(parents=True)
    stuck = FileSystem(b"ufs", b"/dev/da0", os.fsencode(builds / "frx-left/root"))
    before = back_ends.current()
    monkeypatch.setattr(mounts, "PATIENCE", (0,))
    back_ends.use(FreeBSDBackEnd(Fake(table=[stuck], before=busy)))
    try:
        journal, users = Journal(str(tmp_path / "journal")), UserLocks(str(tmp_path))
        with pytest.raises(StoreError, match="still mounted"):
            recover(journal, str(builds), users, lambda *_: pytest.fail("deleted"))
    finally:
        back_ends.use(before)
    assert (builds / "frx-left/root").exists()


def test_only_a_reaper_kills_its_descendants() -> None:
    """The kernel would take those of its own reaper instead: all processes of the system."""
    kernel = Fake()
    with pytest.raises(OSError, match="not the reaper"):
        reaper.end_descendants(kernel, "frx-a", lambda *_: None)
    assert {call[2] for call in kernel.calls if call[0] == "procctl"} == {abi.PROC_REAP_STATUS}


NAMES = [step.name for step in FAILPOINTS if step.process != "spawner"]


@pytest.mark.parametrize("step", NAMES)
def test_a_failing_step_is_named(spawner: Spawner, tmp_path: Path, step: str) -> None:
    with (
        open(os.devnull, "wb") as log,
        failpoints.armed(step),
        pytest.raises(SandboxError, match=f"step '{step}': Input/output error") as caught,
    ):
        spawner.spawn(spec(tmp_path, "exit 0"), log.fileno())
    assert caught.value.errno == errno.EIO


@pytest.mark.parametrize("step", NAMES)
def test_a_death_at_any_step_leaves_nothing(spawner: Spawner, tmp_path: Path, step: str) -> None:
    with failpoints.armed(f"{step}:builder"):
        ended = run(spawner, spec(tmp_path, "exit 0"), tmp_path / "log")
    assert ended[:2] == (None, signal.SIGKILL)


def test_a_program_that_is_not_there(spawner: Spawner, tmp_path: Path) -> None:
    wanted = replace(spec(tmp_path, ""), program=Exec("/none", ("none",), {}, "/"))
    with (
        open(os.devnull, "wb") as log,
        pytest.raises(SandboxError, match="step 'exec': No such file or directory"),
    ):
        spawner.spawn(wanted, log.fileno())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"personality": "linux32"}, "personality 'linux32'"),
        ({"identity": Identity(UID, UID, 1000, 100, user_namespace=True)}, "other ids inside"),
    ],
)
def test_what_jails_can_not_do_is_refused(
    spawner: Spawner, tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    with open(os.devnull, "wb") as log, pytest.raises(SandboxError, match=said):
        spawner.spawn(replace(spec(tmp_path, "exit 0"), **changes), log.fileno())  # type: ignore[arg-type]
