"""Builds for real: in fresh namespaces, as root, on a private /frx."""

from __future__ import annotations

import bz2
import errno
import hashlib
import os
import threading
from pathlib import Path

import pytest

from fruix.building.record.record_file import read_record
from fruix.building.run import state
from fruix.building.settings import BuildSettings
from fruix.model.build_options import BuildOptions
from fruix.model.buildresult import BuildResult, BuildStatus
from fruix.model.derivation import DerivationOutput
from fruix.model.derivedpath import ALL, DerivedPath
from fruix.model.events import (
    BuilderExited,
    BuildFailed,
    BuildFinished,
    BuildQueued,
    BuildStarted,
    LogLine,
    PhaseStarted,
)
from fruix.model.storepath import StorePath
from fruix.sandbox import Exit
from fruix.sandbox.contracts import CONTRACTS
from fruix.sandbox.linux import userns
from fruix.sandbox.spawner.client import SandboxHandle
from machine import FIRST, Machine, build_uid, builders, machine, machines
from waiting import until

pytestmark = pytest.mark.usefixtures("each_back_end")
here, shell = machines()


def test_a_build_becomes_valid(here: Machine, shell: StorePath) -> None:
    drv = here.derivation("simple", "echo '@ fruix phase build'; echo hello; echo contents > $out", shell)
    (result,) = here.build(drv)
    assert result.status == BuildStatus.BUILT, result.message
    output = here.output(drv)
    assert output.read_text() == "contents\n"
    status = output.stat()
    assert (status.st_mode & 0o7777, status.st_uid, status.st_mtime) == (0o444, 0, 1)
    info = here.store.path_info(here.store.derivation_outputs(drv)["out"])
    assert info is not None
    assert (info.deriver, info.ultimate, info.references) == (drv, True, ())
    kinds = [type(event) for event in here.events]
    assert kinds == [BuildQueued, BuildStarted, PhaseStarted, LogLine, BuilderExited, BuildFinished]
    assert [r.status for r in here.build(drv)] == [BuildStatus.ALREADY_VALID]


def test_the_larger_part_of_the_record_is_made_before_the_builder_ends(
    here: Machine, shell: StorePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    known, end = state.RunState.tell_known, SandboxHandle.end

    def noted_known(one: state.RunState) -> str:
        order.append("record")
        return known(one)

    def noted_end(handle: SandboxHandle) -> Exit:
        order.append("end")
        return end(handle)

    monkeypatch.setattr(state.RunState, "tell_known", noted_known)
    monkeypatch.setattr(SandboxHandle, "end", noted_end)
    (result,) = here.build(here.derivation("early", "echo x > $out", shell))
    assert result.success, result.message
    assert order == ["record", "end"]


def test_what_fails_beside_a_sandbox_ends_it(
    here: Machine, shell: StorePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space")

    with monkeypatch.context() as patch:
        patch.setattr(state.RunState, "tell_known", fail)
        (result,) = here.build(here.derivation("failing", "echo x > $out; while :; do :; done", shell))
    assert "no space" in result.message
    assert not [name for name in os.listdir(here.store.layout.builds) if name.startswith("frx-")]
    (result,) = here.build(here.derivation("going", "echo x > $out", shell))
    assert result.success, result.message


def test_record_and_log(here: Machine, shell: StorePath, each_back_end: str) -> None:
    drv = here.derivation("recorded", "echo '@ fruix phase check'; echo '# PASS:  5'; echo x > $out", shell)
    here.build(drv)
    log_file = here.store.layout.log_file(drv)
    assert bz2.decompress(Path(f"{log_file}.bz2").read_bytes()) == b"@ fruix phase check\n# PASS:  5\n"
    record = read_record(log_file)
    assert record is not None
    assert record["tests"] == "pass=5 fail=0"
    assert [phase["name"] for phase in record["phases"]] == ["check"]
    assert record["isolation"]["kind"] == each_back_end
    identity = CONTRACTS["fruix"].identity(build_uid(), FIRST)
    assert record["isolation"]["insideUid"] == record["isolation"]["insideGid"] == FIRST
    host = (record["isolation"]["uid"], record["isolation"]["gid"])
    assert host == userns.on_host(identity.uid, identity.gid)
    assert record["isolation"]["hostname"] == "localhost"
    assert record["status"] == "BUILT"
    assert record["exit"] == {"code": 0, "signal": None}


def test_references_are_found(here: Machine, shell: StorePath) -> None:
    low = here.derivation("low", "mkdir $out; echo low > $out/f", shell)
    script = 'mkdir $out; echo "$low" > $out/ref; ln -s $out $out/self; test "$(cat $low/f)" = low'
    top = here.derivation(
        "top", script, shell, inputs=[low], env={"low": str(here.store.derivation_outputs(low)["out"])}
    )
    assert all(result.success for result in here.build(top))
    outputs = here.store.derivation_outputs(top)["out"]
    references = here.store.references(outputs)
    assert references == sorted([here.store.derivation_outputs(low)["out"], outputs])


def test_several_outputs(here: Machine, shell: StorePath) -> None:
    outputs = {name: DerivationOutput(None) for name in ("out", "lib")}
    drv = here.derivation("multi", "echo $lib > $out; mkdir $lib; echo x > $lib/x", shell, outputs=outputs)
    (result,) = here.build(drv)
    assert result.success
    assert set(result.outputs) == {"out", "lib"}
    assert here.store.references(result.outputs["out"]) == [result.outputs["lib"]]


def test_a_failing_phase(here: Machine, shell: StorePath) -> None:
    drv = here.derivation("fails", "echo '@ fruix phase configure'; echo no compiler >&2; exit 3", shell)
    (result,) = here.build(drv)
    assert result.status == BuildStatus.PERMANENT_FAILURE
    assert "builder failed with exit code 3" in result.message
    assert "> no compiler" in result.message
    assert result.hint == f"For full logs, run:\n  fruix log {drv}"
    assert isinstance(here.events[-1], BuildFailed)
    assert not here.output(drv).exists()
    assert here.build(drv)[0].status == BuildStatus.PERMANENT_FAILURE


def test_a_missing_output(here: Machine, shell: StorePath) -> None:
    (result,) = here.build(here.derivation("nothing", "true", shell))
    assert result.status == BuildStatus.OUTPUT_REJECTED
    assert "failed to produce output path for output 'out'" in result.message


def test_one_of_two_outputs_is_missing(here: Machine, shell: StorePath) -> None:
    outputs = {name: DerivationOutput(None) for name in ("out", "zlib")}
    drv = here.derivation("half", "echo x > $out", shell, outputs=outputs)
    (result,) = here.build(drv)
    assert result.status == BuildStatus.OUTPUT_REJECTED
    assert not here.output(drv).exists()


def fixed(data: bytes, algorithm: str = "sha256") -> dict[str, DerivationOutput]:
    return {"out": DerivationOutput(None, algorithm, hashlib.new(algorithm, data).hexdigest())}


def test_fixed_outputs(here: Machine, shell: StorePath) -> None:
    good = here.derivation("good", "printf good > $out", shell, outputs=fixed(b"good"))
    (result,) = here.build(good)
    assert result.success, result.message
    bad = here.derivation("bad", "printf bad > $out", shell, outputs=fixed(b"good"))
    (result,) = here.build(bad)
    assert result.status == BuildStatus.OUTPUT_REJECTED
    assert "hash mismatch in fixed-output derivation" in result.message
    assert "sha256-" in result.message
    assert not here.output(bad).exists()


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("mkfifo $out", "unsupported type"),
        ("mkdir $out; mkfifo $out/f", "unsupported type"),
        ("echo x > $out; chmod 666 $out", "suspicious ownership or permission"),
    ],
)
def test_unfit_outputs(here: Machine, shell: StorePath, script: str, why: str) -> None:
    (result,) = here.build(here.derivation("unfit", script, shell))
    assert result.status == BuildStatus.OUTPUT_REJECTED
    assert why in result.message


def test_failures_of_inputs_name_the_cause(here: Machine, shell: StorePath) -> None:
    low = here.derivation("broken", "exit 1", shell)
    top = here.derivation("above", "echo x > $out", shell, inputs=[low])
    (result,) = here.build(top, options=BuildOptions("fruix", keep_going=True))
    assert result.status == BuildStatus.DEPENDENCY_FAILED
    assert "broken" in result.message


def test_other_systems_and_builders(here: Machine, shell: StorePath) -> None:
    for changes, why in (
        ({"system": "m68k-linux"}, "Required system: 'm68k-linux'"),
        ({"builder": "/nowhere/sh"}, "sandbox step 'exec': No such file or directory"),
        ({"builder": "builtin:nothing"}, "unsupported builtin builder"),
    ):
        (result,) = here.build(here.derivation("other", "true", shell, **changes))  # type: ignore[arg-type]
        assert not result.success
        assert why in result.message


def test_an_unknown_derivation(here: Machine) -> None:
    (result,) = here.build(StorePath.of(here.store.directory, "0" * 32 + "-missing.drv"))
    assert "cannot build missing derivation" in result.message


def test_processes_left_behind_are_dead(here: Machine, shell: StorePath) -> None:
    script = (
        "(setsid sh -c 'trap \"\" TERM HUP; while :; do echo y >> /build/y; done' >/dev/null 2>&1 &);"
        " echo x > $out"
    )
    assert here.build(here.derivation("daemons", script, shell))[0].success
    assert builders() == []


def test_a_builder_that_closes_its_output_is_waited_for(here: Machine, shell: StorePath) -> None:
    drv = here.derivation("quiet", "exec >/dev/null 2>&1; sleep 0.3; echo late > $out", shell)
    assert here.build(drv)[0].success


def test_cancelling_ends_the_build(here: Machine, shell: StorePath) -> None:
    drv = here.derivation("sleeper", "echo started; sleep 1000", shell)
    cancelled = threading.Event()

    def on_event(event: object) -> None:
        if isinstance(event, LogLine):
            cancelled.set()

    ((_, result),) = here.builder.realise([DerivedPath(drv, ALL)], BuildOptions("fruix"), on_event, cancelled)
    assert not result.success
    until(lambda: not here.builder.active(), "the end of the cancelled build")


def test_two_clients_one_build(here: Machine, shell: StorePath) -> None:
    drv = here.derivation("shared", "sleep 0.3; date +%N > $out", shell)
    results: list[BuildResult] = []
    threads = [threading.Thread(target=lambda: results.extend(here.build(drv))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [result.success for result in results] == [True] * 4
    assert sum(isinstance(event, BuildFinished) for event in here.events) >= 1
    assert len({event.pid for event in here.events if isinstance(event, BuildStarted)}) == 1


def test_limits(tmp_path: Path) -> None:
    settings = BuildSettings(max_jobs=2, timeout=1, max_log_size=100_000)
    with machine(settings) as here:
        shell = here.shell(tmp_path)
        slow = here.derivation("slow", "while :; do echo x; sleep 0.1; done", shell)
        (result,) = here.build(slow)
        assert result.status == BuildStatus.TIMED_OUT
        assert "timed out after 1 seconds" in result.message
        loud = here.derivation("loud", "yes", shell)
        (result,) = here.build(loud, options=BuildOptions("fruix", timeout=0))
        assert result.status == BuildStatus.LOG_LIMIT_EXCEEDED
        silent = here.derivation("silent", "sleep 100", shell)
        (result,) = here.build(silent, options=BuildOptions("fruix", timeout=0, max_silent_time=1))
        assert "1 seconds of silence" in result.message


def test_a_derivation_that_comes_with_the_request(here: Machine, shell: StorePath) -> None:
    """It stays no path of the store, and its outputs name it all the same."""
    drv = here.derivation("sent", "echo $0 > $out", shell)
    sent = here.store.read_derivation(drv)
    other = StorePath.of(here.store.directory, f"{'0' * 32}-sent.drv")
    results = here.builder.realise(
        [DerivedPath(other, ALL)], BuildOptions(), here.events.append, threading.Event(), {other: sent}
    )
    assert results[0][1].status == BuildStatus.BUILT, results[0][1].message
    info = here.store.path_info(sent.output_paths["out"])
    assert info is not None
    assert info.deriver == other
    assert not here.store.is_valid(other)
