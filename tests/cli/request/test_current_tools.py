"""When a request begins anew because the host's tools changed, and when it has failed."""

from __future__ import annotations

import time

import pytest

from cli.requests import drv
from fruix.cli.output.progress import Failure
from fruix.cli.request import current_tools
from fruix.cli.request.current_tools import Overtaken, show_anew, with_current_tools
from fruix.errors import BuildError, HostViewChangedError, HostViewError
from fruix.model.buildresult import BuildStatus
from fruix.model.events import BuildFailed
from fruix.model.reasons import Reason

REFUSED: Reason = {"kind": "view-differs", "text": "host view 'base' has changed: gcc"}
CHANGED: Reason = {"kind": "view-changed", "view": "base", "what": "/usr/bin/cc was changed"}
EXIT: Reason = {"kind": "exit-code", "code": 1}


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Those that were made, instead of making them."""
    made: list[float] = []
    monkeypatch.setattr(time, "sleep", made.append)
    return made


def failures(**reasons: Reason) -> list[Failure]:
    """A failure for each name."""
    return [
        Failure(BuildFailed(drv(name), BuildStatus.TRANSIENT_FAILURE, "", 1.0, reason))
        for name, reason in reasons.items()
    ]


def test_it_begins_anew_until_it_is_done(pauses: list[float]) -> None:
    told: list[tuple[int, str]] = []
    outcomes = iter([HostViewChangedError("gcc"), HostViewChangedError("ld"), None])

    def work() -> str:
        outcome = next(outcomes)
        if outcome is not None:
            raise outcome
        return "done"

    assert with_current_tools(work, lambda number, why: told.append((number, why))) == "done"
    assert told == [(1, "gcc"), (2, "ld")]
    assert pauses == [0, 1]


def test_what_changes_for_ever_is_an_error(pauses: list[float]) -> None:
    tries: list[int] = []

    def work() -> None:
        tries.append(1)
        raise HostViewChangedError("gcc")

    with pytest.raises(HostViewChangedError):
        with_current_tools(work, lambda *_: None)
    assert len(tries) == len(current_tools.PAUSES) + 1
    assert pauses == list(current_tools.PAUSES)


def test_other_errors_are_final() -> None:
    def work() -> None:
        raise HostViewError("needs the tool 'gcc'")

    with pytest.raises(HostViewError, match="gcc"):
        with_current_tools(work, lambda *_: pytest.fail("it can't be helped"))


@pytest.mark.parametrize("reason", [REFUSED, CHANGED], ids=["refused", "changed"])
def test_what_failed_for_the_tools_alone(reason: Reason) -> None:
    with pytest.raises(HostViewChangedError, match="host view 'base'") as caught:
        Overtaken().check(failures(a=reason), [drv("b")])
    assert caught.value.exit_code == BuildError.exit_code


def test_another_cause_is_told() -> None:
    Overtaken().check(failures(a=REFUSED, b=EXIT), [drv("a"), drv("b")])
    Overtaken().check([], [drv("a")])


def test_what_nobody_lowers_is_refused_for_good() -> None:
    Overtaken().check(failures(a=REFUSED), [])
    with pytest.raises(HostViewChangedError):
        Overtaken().check(failures(a=CHANGED), [])


def test_what_is_the_same_when_lowered_again_is_refused_for_good() -> None:
    found = Overtaken()
    for name in ("a", "b"):
        with pytest.raises(HostViewChangedError):
            found.check(failures(**{name: REFUSED}), [drv(name)])
    found.check(failures(b=REFUSED), [drv("b")])


def test_people_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    show_anew(2, "gcc 12 → 13\x1b[2J")
    assert capsys.readouterr().err == (
        "gcc 12 → 13\\x1b[2J; begun anew for the tools that are here now (2 of 8)\n"
    )
