"""Builds asked for in other ways: checked, repeated, failures remembered."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from asking import UNSTEADY, last, options
from fruix.building.record.log_reading import find_log, read_log
from fruix.building.record.record_file import read_record
from fruix.building.settings import BuildSettings
from fruix.model.buildresult import BuildMode, BuildStatus
from fruix.model.derivation import DerivationOutput
from fruix.model.events import BuildFailed, BuildFinished, BuildStarted
from fruix.model.storepath import StorePath
from machine import Machine, machine, machines

pytestmark = pytest.mark.usefixtures("each_back_end")

FIXED = {"out": DerivationOutput(None, "sha256", "0" * 64)}

here, shell = machines()


# Check


def test_a_check_that_agrees_changes_nothing(here: Machine, shell: StorePath) -> None:
    drv = here.derivation("steady", "mkdir $out; echo x > $out/f", shell)
    here.build(drv)
    log_file = here.store.layout.log_file(drv)
    before = (here.output(drv).stat(), read_record(log_file), Path(f"{log_file}.bz2").stat())
    (result,) = here.build(drv, options=options(BuildMode.CHECK))
    assert result.status is BuildStatus.BUILT, result.message
    assert (here.output(drv).stat(), read_record(log_file), Path(f"{log_file}.bz2").stat()) == before
    assert last(here, BuildStarted).purpose == "check"
    assert last(here, BuildFinished).checked
    record = read_record(here.store.layout.log_file(drv, check=True))
    assert record is not None
    assert (record["purpose"], record["differences"]) == ("check", [])


@pytest.mark.parametrize("contract", ["fruix", "guix"])
def test_a_check_that_differs_tells_where(here: Machine, shell: StorePath, contract: str) -> None:
    drv = here.derivation("unsteady", UNSTEADY, shell)
    here.build(drv, options=options(contract=contract))
    (path,) = here.store.derivation_outputs(drv).values()
    info = here.store.path_info(path)
    (result,) = here.build(drv, options=options(BuildMode.CHECK, contract=contract))
    assert (result.status, result.non_deterministic) == (BuildStatus.NOT_DETERMINISTIC, True)
    kept = f"{path}{'-check' if contract == 'guix' else '.check'}"
    assert f"derivation '{drv}' may not be deterministic: output '{path}' differs from '{kept}'" in (
        result.message
    )
    assert "bytes differ, first at offset 100" in result.message
    assert "link: link to '" in result.message
    assert "only in the first (file of 0 bytes)" in result.message
    assert "only in the second (file of 0 bytes)" in result.message
    assert "same:" not in result.message
    failed = last(here, BuildFailed)
    assert failed.reason == {"kind": "check-differs-kept", "path": str(path), "kept": kept}
    log_file = here.store.layout.log_file(drv, check=True)
    log = b"".join(read_log(log_file)).decode()
    assert f"first: {path}\nsecond: {kept}\n  bin/tool: " in log
    record = read_record(log_file)
    assert record is not None
    (found,) = record["differences"]
    assert (found["output"], found["first"], found["second"]) == (str(path), str(path), kept)
    assert {"bin/tool", "id", "link"} <= {place["path"] for place in found["places"]}
    # Both are there, canonical; nothing else changed.
    other = Path(here.store.real(path) + kept.removeprefix(str(path)))
    assert (other / "id").read_text() != (here.output(drv) / "id").read_text()
    assert stat.S_IMODE((other / "id").stat().st_mode) == 0o444
    assert here.store.path_info(path) == info
    assert not here.store.is_valid(StorePath.parse(kept, here.store.directory))


def test_of_others_a_differing_result_is_kept_on_demand_only(here: Machine, shell: StorePath) -> None:
    drv = here.derivation("unsteady", UNSTEADY, shell)
    here.build(drv)
    (result,) = here.build(drv, options=options(BuildMode.CHECK, contract="nix", keep_differing=False))
    assert "' differs\n" in result.message
    assert "bytes differ" in result.message
    assert not any(name.endswith(".check") for name in os.listdir(here.store.directory))
    here.build(drv, options=options(BuildMode.CHECK, contract="nix", keep_differing=False, keep_failed=True))
    assert any(name.endswith("unsteady.check") for name in os.listdir(here.store.directory))


def test_a_check_that_agrees_removes_what_an_earlier_one_kept(here: Machine, shell: StorePath) -> None:
    drv = here.derivation("steady", "echo x > $out", shell)
    here.build(drv)
    old = Path(f"{here.output(drv)}.check")
    old.write_text("of yesterday")
    assert here.build(drv, options=options(BuildMode.CHECK))[0].success
    assert not old.exists()


def test_there_must_be_something_to_check(here: Machine, shell: StorePath) -> None:
    drv = here.derivation("new", "echo x > $out", shell)
    (result,) = here.build(drv, options=options(BuildMode.CHECK))
    assert not result.success
    assert "some outputs of" in result.message
    assert "checking is not possible" in result.message
    assert not find_log(here.store.layout.log_file(drv, check=True))
    assert not any(isinstance(event, BuildStarted) for event in here.events)


def test_inputs_of_what_is_checked_are_not_built_again(here: Machine, shell: StorePath) -> None:
    inner = here.derivation("inner", "head -c 16 /dev/urandom | md5sum > $out", shell)
    outer = here.derivation("outer", "echo x > $out", shell, inputs=[inner])
    here.build(outer)
    here.events.clear()
    assert here.build(outer, options=options(BuildMode.CHECK))[0].success
    assert [event.drv for event in here.events if isinstance(event, BuildStarted)] == [outer]


# Rounds


def test_rounds_that_agree(here: Machine, shell: StorePath) -> None:
    drv = here.derivation("steady", "echo x > $out", shell)
    (result,) = here.build(drv, options=options(rounds=3))
    assert (result.status, result.times_built) == (BuildStatus.BUILT, 3)
    started = [event for event in here.events if isinstance(event, BuildStarted)]
    assert [(event.round, event.rounds) for event in started] == [(1, 3), (2, 3), (3, 3)]
    assert sum(isinstance(event, BuildFinished) for event in here.events) == 1
    assert here.output(drv).read_text() == "x\n"


def test_rounds_that_differ_keep_both(here: Machine, shell: StorePath) -> None:
    drv = here.derivation("unsteady", UNSTEADY, shell)
    (result,) = here.build(drv, options=options(rounds=5))
    assert (result.status, result.times_built) == (BuildStatus.NOT_DETERMINISTIC, 2)
    (path,) = here.store.derivation_outputs(drv).values()
    assert f"output '{path}' of '{drv}' differs from '{path}.check' from previous round" in result.message
    assert "bytes differ, first at offset 100" in result.message
    assert not here.store.is_valid(path)
    first, second = (Path(here.store.real(path) + end) / "id" for end in (".check", ""))
    assert first.read_text() != second.read_text()
    # What is left there is no hindrance.
    assert here.build(drv)[0].success


def test_rounds_that_differ_leave_nothing_if_nobody_wants_it(here: Machine, shell: StorePath) -> None:
    drv = here.derivation("unsteady", UNSTEADY, shell)
    (result,) = here.build(drv, options=options(rounds=2, contract="guix", keep_differing=False))
    assert f"of '{drv}' differs from previous round" in result.message
    assert not any("unsteady" in name for name in os.listdir(here.store.directory) if "drv" not in name)


def test_fixed_outputs_have_one_round(here: Machine, shell: StorePath) -> None:
    drv = here.derivation("fixed", "echo x > $out", shell, outputs=FIXED)
    (result,) = here.build(drv, options=options(rounds=2))
    assert result.times_built == 1


# Failures that are remembered


def test_failures_are_remembered_if_the_operator_wants_that(tmp_path: Path) -> None:
    with machine(BuildSettings(cache_failures=True)) as here:
        shell = here.shell(tmp_path)
        drv = here.derivation("bad", "echo no; exit 3", shell)
        (path,) = here.store.derivation_outputs(drv).values()
        assert here.build(drv)[0].status is BuildStatus.PERMANENT_FAILURE
        assert here.store.failures.all() == [path]
        here.events.clear()
        (result,) = here.build(drv)
        assert result.status is BuildStatus.CACHED_FAILURE
        assert f"the build of '{path}' failed previously (cached)" in result.message
        assert not any(isinstance(event, BuildStarted) for event in here.events)
        log_file = here.store.layout.log_file(drv)
        record = read_record(log_file)
        assert record is not None
        assert record["status"] == "PERMANENT_FAILURE", "what tells of the failure stays"
        here.store.failures.clear([path])
        assert here.build(drv)[0].status is BuildStatus.PERMANENT_FAILURE
        here.store.failures.clear(None)
        assert here.store.failures.all() == []


def test_rejected_outputs_are_remembered_but_for_fixed_ones(tmp_path: Path) -> None:
    with machine(BuildSettings(cache_failures=True)) as here:
        shell = here.shell(tmp_path)
        absent = here.derivation("absent", "true", shell)
        unsteady = here.derivation("unsteady", UNSTEADY, shell)
        fixed = here.derivation("fixed", "true", shell, outputs=FIXED)
        for drv in (absent, unsteady, fixed):
            assert not here.build(drv, options=options(rounds=2))[0].success
        outputs = [path for drv in (absent, unsteady) for path in here.store.derivation_outputs(drv).values()]
        assert here.store.failures.all() == sorted(outputs)


def test_a_failure_under_one_contract_is_none_under_another(tmp_path: Path) -> None:
    """Else a user could keep those of another world from building what works there."""
    with machine(BuildSettings(cache_failures=True)) as here:
        shell = here.shell(tmp_path)
        drv = here.derivation("picky", 'test -n "$NIX_LOG_FD"; r=$?; echo x > $out; exit $r', shell)
        for status in (BuildStatus.PERMANENT_FAILURE, BuildStatus.CACHED_FAILURE):
            assert here.build(drv, options=options(contract="guix"))[0].status is status
        assert here.build(drv, options=options(contract="nix"))[0].status is BuildStatus.BUILT
        assert here.store.failures.all() == []


def test_what_may_come_right_is_not_remembered(tmp_path: Path) -> None:
    with machine(BuildSettings(cache_failures=True)) as here:
        shell = here.shell(tmp_path)
        fixed = here.derivation("fixed", "exit 1", shell, outputs=FIXED)
        slow = here.derivation("slow", "sleep 1000", shell)
        assert here.build(fixed)[0].status is BuildStatus.TRANSIENT_FAILURE
        assert here.build(slow, options=options(timeout=1))[0].status is BuildStatus.TIMED_OUT
        assert here.store.failures.all() == []


def test_by_default_nothing_is_remembered(here: Machine, shell: StorePath) -> None:
    here.build(here.derivation("bad", "exit 3", shell))
    assert here.store.failures.all() == []
