"""Builds on other machines, as one that pretends answers."""

from __future__ import annotations

import bz2
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from building.run.elsewhere.other_machine import BUILT, OTHER, Other, archive
from fruix.building.record.record_file import read_record
from fruix.errors import DisconnectedError
from fruix.model.build_options import BuildOptions, SubstituteWishes
from fruix.model.buildresult import BuildMode, BuildResult, BuildStatus
from fruix.model.derivation import DerivationOutput
from fruix.model.derivedpath import ALL, DerivedPath
from fruix.model.events import (
    BuildFinished,
    BuildQueued,
    BuildStarted,
    Event,
    LogLine,
    Message,
    PhaseStarted,
)
from fruix.model.hashes import Hash
from fruix.model.storepath import StorePath
from machine import Machine
from waiting import PATIENCE


def test_outputs_come_back(here: Machine, other: Other, shell: StorePath) -> None:
    outputs = {name: DerivationOutput(None) for name in ("out", "lib")}
    drv = here.derivation("two", "", shell, system=OTHER, outputs=outputs)
    out, lib = (here.store.derivation_outputs(drv)[name] for name in ("out", "lib"))
    other.texts = {out: b"out\n", lib: b"lib\n"}
    other.references = {out: (lib,)}

    def work(on_event: Callable[[Event], None]) -> BuildResult:
        for event in (PhaseStarted(drv, "build"), LogLine(drv, "a line"), Message(1, "warning: so")):
            on_event(event)
        return BUILT

    other.work = work
    (result,) = here.build(drv)
    assert result.status is BuildStatus.BUILT, result.message
    assert (here.output(drv).read_text(), here.output(drv, "lib").read_text()) == ("out\n", "lib\n")
    info = here.store.path_info(out)
    assert info is not None
    assert (info.references, info.deriver, info.ultimate) == ((lib,), drv, False)
    assert [type(event) for event in here.events] == [
        BuildQueued,
        BuildStarted,
        PhaseStarted,
        LogLine,
        Message,
        BuildFinished,
    ]
    begun = here.events[1]
    assert isinstance(begun, BuildStarted)
    assert begun.machine == "ssh-ng://other"
    assert begun.why == "sent to 'ssh-ng://other' (0 of 2 builds, speed 1)"
    log_file = here.store.layout.log_file(drv)
    assert bz2.decompress(Path(f"{log_file}.bz2").read_bytes()) == b"a line\n"
    assert (read_record(log_file) or {})["builtOn"] == "ssh-ng://other"


def test_what_it_needs_goes_there(here: Machine, other: Other, shell: StorePath) -> None:
    """Built inputs as outputs: the other machine gets no derivation."""
    low = here.derivation("low", "echo low > $out", shell, env={"preferLocalBuild": "1"})
    drv = here.derivation("top", "", shell, inputs=[low], system=OTHER)
    built = here.store.derivation_outputs(low)["out"]
    other.texts = {here.store.derivation_outputs(drv)["out"]: b""}
    assert here.build(drv)[0].success
    assert here.output(low).read_text() == "low\n"
    assert other.sent == sorted([built, shell])
    (sent,) = other.built
    assert (sent.input_drvs, sent.input_srcs) == ({}, tuple(other.sent))


@pytest.mark.parametrize("operator", [False, True])
def test_it_fetches_by_itself_where_that_is_wished(
    here: Machine, other: Other, shell: StorePath, monkeypatch: pytest.MonkeyPatch, operator: bool
) -> None:
    monkeypatch.setattr(
        here.builder, "settings", replace(here.builder.settings, machines_substitute=operator)
    )
    for wish in (None, False, True):
        drv = here.derivation(f"fetches{operator}{wish}", "", shell, system=OTHER)
        other.texts = {here.store.derivation_outputs(drv)["out"]: b""}
        assert here.build(drv, options=BuildOptions("fruix", machines_substitute=wish))[0].success
    assert other.substitutes == [operator, False, True]


def test_its_failure_is_told_as_it_tells_it(here: Machine, other: Other, shell: StorePath) -> None:
    other.work = lambda _: BuildResult(BuildStatus.TIMED_OUT, "Cannot build that.\nReason: too slow.")
    (result,) = here.build(here.derivation("fails", "", shell, system=OTHER))
    assert result.status is BuildStatus.TIMED_OUT
    assert "on 'ssh-ng://other': Cannot build that.\nReason: too slow." in result.message


def test_an_output_that_is_not_what_is_said(
    here: Machine, other: Other, shell: StorePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of both is valid, whichever of them it was."""
    outputs = {name: DerivationOutput(None) for name in ("out", "lib")}
    drv = here.derivation("wrong", "", shell, system=OTHER, outputs=outputs)
    other.texts = dict.fromkeys(here.store.derivation_outputs(drv).values(), b"good")
    monkeypatch.setattr(
        other, "nar", lambda path: iter([archive(b"evil" if path.name == "wrong" else b"good")])
    )
    (result,) = here.build(drv)
    assert not result.success
    assert "hash mismatch importing path" in result.message
    assert not here.output(drv).exists()
    assert not here.output(drv, "lib").exists()


def test_a_fixed_output_is_what_the_derivation_says(here: Machine, other: Other, shell: StorePath) -> None:
    output = {"out": DerivationOutput(None, "sha256", Hash.of("sha256", b"right").base16)}
    drv = here.derivation("declared", "", shell, system=OTHER, outputs=output)
    other.texts = {here.store.derivation_outputs(drv)["out"]: b"other"}
    assert "mismatch" in here.build(drv)[0].message
    assert not here.output(drv).exists()


@pytest.mark.parametrize("fallback", [False, True])
def test_one_that_is_lost_while_it_builds(
    here: Machine, other: Other, shell: StorePath, fallback: bool
) -> None:
    def work(_on_event: object) -> BuildResult:
        raise DisconnectedError("Connection reset by peer")

    other.work = work
    drv = here.derivation(f"lost{fallback}", "echo here > $out", shell)
    (result,) = here.build(
        drv, options=BuildOptions("fruix", substitutes=SubstituteWishes(fallback=fallback))
    )
    if fallback:
        assert here.output(drv).read_text() == "here\n"
        return
    assert result.status is BuildStatus.TRANSIENT_FAILURE
    assert "can't build on 'ssh-ng://other': Connection reset by peer" in result.message
    assert "with '--fallback'" in result.hint


def test_one_that_is_not_reached_is_told_of_and_rests(here: Machine, other: Other, shell: StorePath) -> None:
    other.reached = False
    drvs = [here.derivation(f"here{number}", "echo here > $out", shell) for number in (1, 2)]
    for drv in drvs:
        assert here.build(drv)[0].success
    assert other.asked == 1
    (told,) = [event.text for event in here.events if isinstance(event, Message)]
    assert told == "warning: can't build on 'ssh-ng://other': No route to host"


def test_what_nobody_else_can_build_fails_when_it_is_not_reached(
    here: Machine, other: Other, shell: StorePath
) -> None:
    other.reached = False
    for number in (1, 2):  # it is asked each time
        (result,) = here.build(here.derivation(f"foreign{number}", "", shell, system=OTHER))
        assert not result.success
        assert OTHER in result.message
        assert other.asked == number


def test_without_jobs_here_all_goes_there(here: Machine, other: Other, shell: StorePath) -> None:
    drv = here.derivation("sent", "", shell)
    other.texts = {here.store.derivation_outputs(drv)["out"]: b"there\n"}
    options = BuildOptions("fruix", max_jobs=0)
    assert here.build(drv, options=options)[0].success
    assert here.output(drv).read_text() == "there\n"
    other.reached = False
    (result,) = here.build(here.derivation("unsent", "", shell), options=options)
    assert "local builds are disabled" in result.message


@pytest.mark.parametrize(
    "options",
    [
        BuildOptions("fruix", rounds=2),
        BuildOptions("guix"),
        BuildOptions("fruix", machines=()),
    ],
    ids=["rounds", "guix", "none"],
)
def test_what_stays(here: Machine, other: Other, shell: StorePath, options: BuildOptions) -> None:
    name = f"stays{options.rounds}{options.contract}{options.machines is None}"
    assert here.build(here.derivation(name, "echo > $out", shell), options=options)[0].success
    assert other.asked == 0


def test_checks_stay(here: Machine, other: Other, shell: StorePath) -> None:
    drv = here.derivation("checked", "echo > $out", shell)
    other.texts = {here.store.derivation_outputs(drv)["out"]: b"\n"}
    assert here.build(drv)[0].success
    assert here.build(drv, options=BuildOptions("fruix", mode=BuildMode.CHECK))[0].success
    assert other.asked == 1


def test_one_that_is_not_fruix_gets_nothing_of_fruix_s_contract(
    here: Machine, other: Other, shell: StorePath
) -> None:
    other.is_own = False
    drv = here.derivation("own", "echo here > $out", shell)
    assert here.build(drv)[0].success
    assert (here.output(drv).read_text(), other.built) == ("here\n", [])


def test_a_build_that_nobody_wants_any_more(here: Machine, other: Other, shell: StorePath) -> None:
    begun, cancelled = threading.Event(), threading.Event()

    def work(_on_event: object) -> BuildResult:
        begun.set()
        assert cancelled.wait(PATIENCE)
        while (why := other.why_stop()) is None:
            pass
        raise why

    other.work = work
    requests = [DerivedPath(here.derivation("unwanted", "", shell, system=OTHER), ALL)]
    client = threading.Thread(
        target=here.builder.realise, args=(requests, BuildOptions("fruix"), here.events.append, cancelled)
    )
    client.start()
    assert begun.wait(PATIENCE)
    cancelled.set()
    client.join(PATIENCE)
    assert not client.is_alive()
