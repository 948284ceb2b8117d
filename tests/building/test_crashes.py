"""SIGKILL to each process that takes part, at every step of a build.

The next start leaves no trace of it, and the same build then succeeds.

Real daemons (forked, with the command's own `main`), a real spawner, real builders, clients in
processes of their own; one private /frx.
"""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from crashing import (
    SOCKET,
    ask,
    child,
    clear_away,
    connected,
    derivation,
    exit_of,
    start_daemon,
    stored_shell,
    traces,
)
from fruix import failpoints
from fruix.building import recovery
from fruix.building.record.log_reading import read_log
from fruix.building.record.record_file import read_record
from fruix.building.recovery import recover_builds
from fruix.building.steps import all_steps
from fruix.client import connect
from fruix.errors import FruixError
from fruix.model.build_options import BuildOptions
from fruix.model.derivation import DerivationOutput
from fruix.model.derivedpath import ALL, DerivedPath
from fruix.model.storepath import StorePath
from fruix.sandbox.back_ends import current
from fruix.sandbox.freebsd.start import FAILPOINTS as JAIL_STEPS
from fruix.store import Layout, LocalStore
from machine import jails, left_over, machine
from seen_processes import children_of

STEPS = {step.name: step for step in all_steps()}
ANSWERED = {step.name for step in STEPS.values() if step.answered}
CASES = [(step.name, victim) for step in STEPS.values() for victim in step.victims]
JAIL_CASES = [(step.name, victim) for step in JAIL_STEPS for victim in step.victims]
# The outputs are valid, the client has no answer, and the record is yet to be written.
UNRECORDED = {"unlock", "record"}
# By then the builder has ended by itself, or the result stands already.
TOO_LATE_FOR_THE_BUILDER = {"end"}


shell = stored_shell()


@pytest.fixture(autouse=True)
def nothing_runs_on() -> Iterator[None]:
    yield
    clear_away()


@pytest.mark.parametrize(("step", "victim"), CASES)
def test_a_crash_leaves_nothing(step: str, victim: str, shell: StorePath) -> None:
    crash(step, victim, shell)


@pytest.mark.skipif(os.geteuid() != 0, reason="machine: jails need root")
@pytest.mark.parametrize(("step", "victim"), JAIL_CASES)
def test_a_crash_leaves_nothing_of_a_jail(step: str, victim: str, shell: StorePath) -> None:
    """Where the FreeBSD back end sets up; the steps before and after are the same."""
    with jails():
        crash(step, victim, shell)


def crash(step: str, victim: str, shell: StorePath) -> None:
    daemon = start_daemon(f"{step}:{victim}")
    with connected(daemon) as store:
        # By the time of this step the builder may have come to its end; one that is to be killed must not.
        # The store is shared by the tests of this module: both back ends have steps of the same name.
        name = f"{current().kind}-{step}-{victim}"
        drv = derivation(store, name, shell, wait=20 if (step, victim) == ("watch", "builder") else 0)
        client, heard = ask(drv)
        if victim == "daemon":
            assert exit_of(daemon) == -signal.SIGKILL
            assert client == 0
            # The answer has been given by then, but it may not have been sent.
            told = {"DisconnectedError"} | ({"BUILT"} if step in ANSWERED else set())
            assert heard["status"] in told
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
            if step in ANSWERED:
                assert_concluded(drv)
            _, heard = ask(drv)
            assert heard["status"] in {"BUILT", "ALREADY_VALID"}, heard
            outputs = store.derivation_outputs(drv)
            assert Path(str(outputs["out"]), "x").read_text() == "x\n"
            assert store.references(outputs["lib"]) == [outputs["out"]]
            assert traces(store) == []
            if step not in UNRECORDED:
                assert_concluded(drv)
    finally:
        os.kill(after, signal.SIGTERM)
        assert exit_of(after) == 0
    with LocalStore(Layout()).open() as store_here:
        assert store_here.verify(contents=True) == []


def assert_concluded(drv: StorePath) -> None:
    """Nothing of what is done behind the answer is missing, or there twice."""
    log = Layout().log_file(drv)
    place = os.path.dirname(log)
    kinds = sorted(name.removeprefix(os.path.basename(log)) for name in os.listdir(place))
    assert [kind for kind in kinds if kind in {"", ".bz2", ".packing", ".json"}] == [".bz2", ".json"]
    assert b"".join(read_log(log)) == b"running\n"
    record = read_record(log)
    assert record is not None
    assert record["status"] == "BUILT"
    lines = [json.loads(line) for line in Path(Layout().history).read_text().splitlines()]
    assert [line["kind"] for line in lines if line["drv"] == str(drv)] == ["build"]


@pytest.mark.usefixtures("either_back_end")
@pytest.mark.parametrize("seed", range(8))
def test_death_at_any_time_with_several_builds(seed: int, shell: StorePath) -> None:
    """No named step: three clients build, and the daemon (or the spawner) is killed somewhere in between."""
    chance = random.Random(seed)
    daemon = start_daemon()
    with connected(daemon) as store:
        names = [f"{current().kind}-random-{seed}-{number}" for number in range(3)]
        drvs = [derivation(store, name, shell) for name in names]
        spawner = children_of(daemon)[0]
        clients = [child(partial(build_all, drvs[number:] + drvs[:number])) for number in range(3)]
        time.sleep(chance.random() * 0.3)
        os.kill(chance.choice([daemon, spawner]), signal.SIGKILL)
        assert [exit_of(client) for client in clients] == [0] * 3
        assert exit_of(daemon) in {-signal.SIGKILL, 1}
    after = start_daemon()
    with connected(after) as store:
        assert traces(store) == []
        for drv in drvs:
            assert ask(drv)[1]["status"] in {"BUILT", "ALREADY_VALID"}
        assert traces(store) == []
    os.kill(after, signal.SIGTERM)
    assert exit_of(after) == 0
    with LocalStore(Layout()) as here:
        assert here.verify(contents=True) == []


def build_all(drvs: list[StorePath]) -> int:
    """A client's work: it may be told that it failed or that the daemon has gone, but it ends."""
    try:
        with connect(SOCKET, "/frx/store") as store:
            store.build([DerivedPath(drv, ALL) for drv in drvs], BuildOptions(), lambda _event: None)
    except FruixError:
        return 0
    return 0


def test_an_interrupted_recovery_is_taken_up_again(shell: StorePath, monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = start_daemon("publish-next:daemon")
    with connected(daemon) as store:
        ask(derivation(store, "interrupted", shell))
        assert exit_of(daemon) == -signal.SIGKILL
    with LocalStore(Layout()) as here:
        with monkeypatch.context() as patch:
            patch.setattr(recovery, "delete_tree", fails)
            with pytest.raises(OSError, match="injected"):
                recover_builds(here)
        assert left_over(here) != []
        assert recover_builds(here) != []
        assert left_over(here) == []
        assert recover_builds(here) == []


def fails(_parent: int, _name: bytes) -> None:
    raise OSError(errno.EIO, "injected")


# These come after the outputs have become valid: the build has succeeded whatever goes wrong there.
AFTERWARDS = {"unlock", "record", *ANSWERED}
# What is still there after such a failure, until the next start: the journal's note and what it speaks of.
KEPT = {"unmount": 2, "remove-directories": 2, "remove-journal": 1}


@pytest.mark.parametrize("step", [name for name in STEPS if name != "answer"])
def test_a_step_that_fails_is_named_and_undone(step: str, tmp_path: Path) -> None:
    with machine() as here:
        shell = here.shell(tmp_path)
        outputs = {output: DerivationOutput(None) for output in ("out", "lib")}
        drv = here.derivation("fails", "echo running; echo > $out; echo > $lib", shell, outputs=outputs)
        with failpoints.armed(f"{step}:ENOSPC"):
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
