"""Faults leave nothing behind: failing steps of the sandbox, a dead spawner, a killed daemon."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from fruix import failpoints
from fruix.building.builder import Builder
from fruix.building.recovery import journal_of, recover_builds, user_locks
from fruix.building.settings import BuildSettings
from fruix.errors import SandboxError
from fruix.sandbox import Exec, SandboxSpec, Spawner
from fruix.sandbox.back_ends import current
from fruix.store import Layout, LocalStore
from machine import SEVERAL_IDS, Machine, builder_of, identity, left_over, private_frx
from waiting import until


def spec(root: Path) -> SandboxSpec:
    return SandboxSpec("frx-test", str(root), identity(35009), Exec("/none", ("none",), {}, "/"))


@pytest.mark.parametrize("step", [step.name for step in current().steps if step.process == "builder"])
def test_a_failing_step_is_named(tmp_path: Path, step: str) -> None:
    (tmp_path / "root").mkdir()
    spawner = Spawner.start()
    try:
        with (
            open(os.devnull, "wb") as log,
            failpoints.armed(step),
            pytest.raises(SandboxError, match=f"step '{step}': Input/output error") as caught,
        ):
            spawner.spawn(spec(tmp_path / "root"), log.fileno())
        assert caught.value.step == step
        assert caught.value.errno == 5
        assert os.listdir(tmp_path / "root") == []
    finally:
        spawner.close()


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    spawner = Spawner.start()
    try:
        with (
            open(os.devnull, "wb") as log,
            pytest.raises(SandboxError, match="step 'exec': No such file or directory"),
        ):
            spawner.spawn(spec(tmp_path / "root"), log.fileno())
    finally:
        spawner.close()


def test_the_spawners_death_is_an_error_not_a_hang(tmp_path: Path) -> None:
    with private_frx():
        spawner = Spawner.start()
        os.kill(spawner.pid, signal.SIGKILL)
        os.waitpid(spawner.pid, 0)
        with open(os.devnull, "wb") as log, pytest.raises(SandboxError, match="the spawner has gone"):
            spawner.spawn(spec(tmp_path), log.fileno())
        spawner.close()


@SEVERAL_IDS
def test_what_a_killed_daemon_left_is_removed() -> None:
    with private_frx(), LocalStore(Layout()).open() as store:
        _leave(store.layout, 35009)
        assert [entry.name for entry in journal_of(store.layout).left_over()] == ["frx-crashed-1"]
        assert left_over(store) != []
        with subprocess.Popen(["sleep", "1000"], user=35009, extra_groups=[]) as stranger:
            with builder_of(35009, "frx-crashed-1") as builder:
                done = recover_builds(store)
                assert "build directory frx-crashed-1" in done
                assert left_over(store) == []
                until(lambda: builder not in current().processes_of(35009), "the end of the builder")
            assert stranger.poll() is None, "this user's, but no builder"
            stranger.kill()
        assert recover_builds(store) == []


@SEVERAL_IDS
def test_builders_of_another_daemon_are_left_alone() -> None:
    """It has the user by now whom the crashed build had: then nothing of that build lives any more."""
    with private_frx(), LocalStore(Layout()).open() as store:
        _leave(store.layout, 35009)
        lock = user_locks(store.layout).take(35009)
        assert lock is not None
        with builder_of(35009, "frx-crashed-1") as builder:
            assert recover_builds(store) == ["build directory frx-crashed-1"]
            assert left_over(store) == []
            assert builder in current().processes_of(35009)
        os.close(lock)


@SEVERAL_IDS
def test_builders_of_a_daemon_in_a_container_are_left_alone() -> None:
    """The same kernel and the same numbers of users, but no lock in common."""
    with private_frx(), LocalStore(Layout()).open() as store, builder_of(35009, "frx-other-2") as builder:
        _leave(store.layout, 35009)
        assert recover_builds(store) == ["build directory frx-crashed-1"]
        assert builder in current().processes_of(35009)


def _leave(layout: Layout, uid: int) -> None:
    """Directories and a note of a build."""
    deep = Path(layout.builds, "frx-crashed-1/build/a/b")
    deep.mkdir(parents=True)
    (deep / "f").write_text("x")
    journal = Path(layout.builds, "journal")
    journal.mkdir(mode=0o700)
    (journal / "frx-crashed-1.json").write_text(f'{{"name": "frx-crashed-1", "uid": {uid}}}')


def test_a_crash_in_between_leaves_only_what_recovery_knows(tmp_path: Path) -> None:
    """A process that builds is killed in the middle; a new start cleans up and builds the same."""
    with private_frx():
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                _build_until_killed(tmp_path, writing)
            finally:
                os._exit(1)
        os.close(writing)
        with open(reading, "rb") as pipe:
            assert pipe.read(1) == b"x"
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            pipe.read()  # ends when the spawner and the builder, which hold it too, have died
        with LocalStore(Layout()).open() as store:
            assert any(name.startswith("frx-") for name in os.listdir(store.layout.builds))
            recover_builds(store)
            assert left_over(store) == []
            assert store.verify(contents=True) == []


def _build_until_killed(scratch: Path, tell: int) -> None:
    os.set_inheritable(tell, True)
    spawner = Spawner.start()
    with LocalStore(Layout()).open() as store:  # of the parent's /frx
        here = Machine(store, Builder(store, spawner, BuildSettings(max_jobs=1)))
        drv = here.derivation("endless", "echo running; sleep 1000", here.shell(scratch))
        here.events = _Telling(tell)  # type: ignore[assignment]
        here.build(drv)


class _Telling(list[object]):
    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor

    def append(self, event: object) -> None:
        if type(event).__name__ == "LogLine":
            os.write(self._descriptor, b"x")
