"""Real builds that several wait for: limits and rules are those of each."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from asking import Clock, options
from fruix import failpoints
from fruix.model.build_options import BuildOptions
from fruix.model.buildresult import BuildMode, BuildResult, BuildStatus
from fruix.model.derivation import DerivationOutput
from fruix.model.derivedpath import ALL, DerivedPath
from fruix.model.events import BuildFailed, BuildQueued, BuildStarted, Event, LogLine
from fruix.model.hashes import Hash
from fruix.model.storepath import StorePath
from machine import Machine, machines
from waiting import PATIENCE

here, shell = machines()


def build(
    here: Machine, drv: StorePath, chosen: BuildOptions, on_event: Callable[[Event], None]
) -> tuple[threading.Thread, list[BuildResult]]:
    """In a thread of its own: it, and where the result will be."""
    found: list[BuildResult] = []

    def run() -> None:
        ((_, result),) = here.builder.realise([DerivedPath(drv, ALL)], chosen, on_event, threading.Event())
        found.append(result)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, found


@pytest.mark.usefixtures("either_back_end")
def test_one_s_limit_does_not_end_the_build_of_another(
    here: Machine, shell: StorePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first who asks has little time: it fails for him alone, and the other gets what he waits for."""
    drv = here.derivation(
        "slow", "echo up; until test -e $NIX_STORE/go; do sleep 0.05; done; echo x > $out", shell
    )
    time, up, joined = Clock(monkeypatch), threading.Event(), threading.Event()
    events: list[Event] = []

    def hear(event: Event) -> None:
        events.append(event)
        if isinstance(event, LogLine):
            up.set()

    quick, told = build(here, drv, options(timeout=40_000, max_silent_time=0), hear)
    assert up.wait(PATIENCE)
    patient, got = build(here, drv, options(timeout=0, max_silent_time=0), lambda _event: joined.set())
    assert joined.wait(PATIENCE)
    time.jump()
    quick.join(PATIENCE)
    (result,) = told
    assert result.status is BuildStatus.TIMED_OUT
    assert "timed out after 40000 seconds" in result.message
    assert "the build goes on for others, whose limits are wider" in result.hint
    assert "> up" in result.message
    failed = events[-1]
    assert isinstance(failed, BuildFailed)
    assert failed.reason == {"kind": "timeout", "limit": 40_000}
    (running,) = here.builder.active()
    (area,) = Path(here.store.layout.builds).glob("frx-*/store")
    (area / "go").touch()
    patient.join(PATIENCE)
    assert [one.status for one in got] == [BuildStatus.BUILT]
    assert running.drv == drv


def fixed_with_reference(here: Machine, shell: StorePath) -> StorePath:
    """Its one output holds a store path."""
    digest = Hash.of("sha256", f"{shell}\n".encode())
    outputs = {"out": DerivationOutput(None, "sha256", digest.base16)}
    return here.derivation("fixed", f"echo {shell} > $out", shell, outputs=outputs)


def setting(flag: threading.Event, kind: type[Event]) -> Callable[[Event], None]:
    def hear(event: Event) -> None:
        if isinstance(event, kind):
            flag.set()

    return hear


RULE = "fixed-output derivations must not reference store paths"


@pytest.mark.parametrize("first", ["guix", "nix"])
def test_a_result_obeys_the_rules_of_each_who_gets_it(here: Machine, shell: StorePath, first: str) -> None:
    """What Guix's rules allow is refused to a client of Nix's that waits for it at the same time.

    The other way round nothing is refused.
    """
    drv = fixed_with_reference(here, shell)
    second = "nix" if first == "guix" else "guix"
    started, queued = threading.Event(), threading.Event()

    def tell(step: str) -> None:
        if step == "take":
            assert queued.wait(PATIENCE)

    failpoints.watch(tell)
    try:
        one, got = build(
            here,
            drv,
            options(contract=first),
            setting(started, BuildStarted),
        )
        assert started.wait(PATIENCE)
        other, told = build(here, drv, options(contract=second), setting(queued, BuildQueued))
        for thread in (one, other):
            thread.join(PATIENCE)
    finally:
        failpoints.watch(lambda _step: None)
    results = {first: got[0], second: told[0]}
    assert results["guix"].status is BuildStatus.BUILT, results["guix"].message
    assert results["nix"].status is BuildStatus.OUTPUT_REJECTED
    assert RULE in results["nix"].message
    if first == "guix":
        assert "another build has made them valid meanwhile" in results["nix"].hint
    (path,) = here.store.derivation_outputs(drv).values()
    assert here.store.references(path) == [shell]


def test_what_is_valid_is_valid(here: Machine, shell: StorePath) -> None:
    """Who asks later for a valid path gets it, whoever made it: as with Guix's and Nix's daemons."""
    drv = fixed_with_reference(here, shell)
    assert here.build(drv, options=options(contract="guix"))[0].success
    (result,) = here.build(drv, options=options(contract="nix"))
    assert result.status is BuildStatus.ALREADY_VALID
    (result,) = here.build(drv, options=options(BuildMode.CHECK, contract="nix"))
    assert RULE in result.message
