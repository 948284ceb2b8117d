"""SIGKILL to everybody who takes part, at every step of a build: the next start leaves no trace of it, and the same build then succeeds.

Real daemons (forked, with the command's own `main`), a real spawner, real builders, clients in processes of their own; one private /frx.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fruix.build.recovery import recover_builds
from fruix.build.settings import BUILD_UID_COUNT, FIRST_BUILD_UID, BuildOptions
from fruix.client import RemoteStore, connect
from fruix.daemon.main import main
from fruix.errors import FruixError, UnreachableError
from fruix.model.derivation import DerivationOutput
from fruix.model.derivedpath import ALL, DerivedPath
from fruix.model.storepath import StorePath
from fruix.sandbox import faults
from fruix.sandbox.linux.cgroup import CgroupParent
from fruix.sandbox.platform import current
from fruix.store import Layout, LocalStore
from machine import Machine, left_over, machine, private_frx

SOCKET = Layout().socket
STEPS = {step.name: step for step in faults.all_steps()}
CASES = [(step.name, victim) for step in STEPS.values() for victim in step.victims]
# By then the builder has ended by itself, or the result stands already.
TOO_LATE_FOR_THE_BUILDER = {"end"}
PATIENCE = 60.0


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StorePath]:
    with private_frx():
        with LocalStore(Layout()).open() as store:
            path = Machine(store, None).shell(tmp_path_factory.mktemp("shell"))  # type: ignore[arg-type]
        yield path


def child(work: Callable[[], int]) -> int:
    """A process that does `work` and exits with what it returns."""
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            code = work()
        except FruixError as error:
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
        finally:
            sys.stderr.flush()
            os._exit(code)
    return pid


def exit_of(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def start_daemon(fault: str = "") -> int:
    def work() -> int:
        for name in [name for name in os.environ if name.startswith(("FRUIX_", "NIX_"))]:
            del os.environ[name]
        os.environ[faults.VARIABLE] = fault
        return main()

    return child(work)


def connected(daemon: int) -> RemoteStore:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return connect(SOCKET, "/frx/store")
        except UnreachableError:
            assert time.monotonic() < deadline
            assert os.waitpid(daemon, os.WNOHANG) == (0, 0), "the daemon ended before it was ready"
            time.sleep(0.01)


def ask(path: StorePath) -> tuple[int, dict[str, str]]:
    """Build in a client process of its own: its exit status, and what it heard."""
    reading, writing = os.pipe()

    def work() -> int:
        os.close(reading)
        with connect(SOCKET, "/frx/store") as store:
            try:
                ((_, result),) = store.build([DerivedPath(path, ALL)], BuildOptions(), lambda _event: None)
                heard = {"status": result.status.name, "message": result.message}
            except FruixError as error:
                heard = {"status": type(error).__name__, "message": str(error)}
            os.write(writing, json.dumps(heard).encode())
        return 0

    pid = child(work)
    os.close(writing)
    with open(reading, "rb") as pipe:
        said = pipe.read()
    return exit_of(pid), json.loads(said) if said else {}


def derivation(store: RemoteStore, name: str, shell: StorePath) -> StorePath:
    here = Machine(store, None)  # type: ignore[arg-type]
    outputs = {output: DerivationOutput(None) for output in ("out", "lib")}
    script = "echo running; (setsid sleep 1000 &); mkdir $out $lib; echo x > $out/x; ln -s $out $lib/link"
    return here.derivation(name, script, shell, outputs=outputs)


def traces(store: RemoteStore) -> list[str]:
    """All that a crashed build could have left, a line each."""
    layout = Layout()
    found = left_over(layout)
    registered = {path.base for path in store.all_valid_paths()}
    found += [
        name for name in os.listdir(layout.store) if not name.startswith(".") and name not in registered
    ]
    if len(staging := [name for name in os.listdir(layout.store) if name.startswith(".tmp-")]) > 1:
        found += staging
    for uid in range(FIRST_BUILD_UID, FIRST_BUILD_UID + BUILD_UID_COUNT):
        found += [f"process {pid} of user {uid}" for pid in current().processes_of(uid)]
    found += [f"mount {mount}" for mount in current().mounts_below(layout.builds)]
    for name in os.listdir(layout.userpool):
        with open(f"{layout.userpool}/{name}", "rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                found.append(f"lock of user {name}")
    if (parent := CgroupParent.find()) is not None:
        found += [f"cgroup {name}" for name in os.listdir(parent.path) if name.startswith("frx-")]
    return found


@pytest.mark.parametrize(("step", "victim"), CASES)
def test_a_crash_leaves_nothing(step: str, victim: str, shell: StorePath) -> None:
    daemon = start_daemon(f"{step}:{victim}")
    with connected(daemon) as store:
        drv = derivation(store, f"{step}-{victim}", shell)
        client, heard = ask(drv)
        if victim == "daemon":
            assert exit_of(daemon) == -signal.SIGKILL
            assert (client, heard["status"]) == (0, "DisconnectedError")
        elif victim == "spawner":
            assert exit_of(daemon) == 1  # for its supervisor: start me again
            assert client == 0
        else:
            if victim == "client":
                assert (client, heard) == (-signal.SIGKILL, {})
            else:
                assert (heard["status"] == "BUILT") == (step in TOO_LATE_FOR_THE_BUILDER), heard
            assert store.is_valid(drv)  # others go on
            os.kill(daemon, signal.SIGTERM)
            assert exit_of(daemon) == 0
    after = start_daemon()
    try:
        with connected(after) as store:
            assert traces(store) == []
            _, heard = ask(drv)
            assert heard["status"] in {"BUILT", "ALREADY_VALID"}, heard
            outputs = store.derivation_outputs(drv)
            assert Path(str(outputs["out"]), "x").read_text() == "x\n"
            assert store.references(outputs["lib"]) == [outputs["out"]]
            assert traces(store) == []
    finally:
        os.kill(after, signal.SIGTERM)
        assert exit_of(after) == 0
    with LocalStore(Layout()).open() as store_here:
        assert store_here.verify(contents=True) == []


# These come after the outputs have become valid: the build has succeeded whatever goes wrong there.
AFTERWARDS = {"remove-directories", "remove-journal", "unlock", "record"}
# What is still there after such a failure, until the next start: the journal's note and what it speaks of.
KEPT = {"remove-directories": 2, "remove-journal": 1}


@pytest.mark.parametrize("step", [name for name in STEPS if name != "answer"])
def test_a_step_that_fails_is_named_and_undone(step: str, tmp_path: Path) -> None:
    with machine() as here:
        shell = here.shell(tmp_path)
        outputs = {output: DerivationOutput(None) for output in ("out", "lib")}
        drv = here.derivation("fails", "echo running; echo > $out; echo > $lib", shell, outputs=outputs)
        with faults.armed(f"{step}:ENOSPC"):
            (result,) = here.build(drv)
        assert result.success == (step in AFTERWARDS), result.message
        if not result.success:
            assert "No space left on device" in result.message
            assert f"step '{step}'" in result.message
        assert len(left_over(here.store)) == KEPT.get(step, 0)
        recover_builds(here.store)
        registered = {path.base for path in here.store.all_valid_paths()}
        stored = {name for name in os.listdir(here.store.directory) if not name.startswith(".")}
        assert stored == registered
        (result,) = here.build(drv)
        assert result.success, result.message
