"""Faults are what they say, and nothing where none is armed."""

from __future__ import annotations

import errno
import os
import signal

import pytest

from fruix import failpoints
from fruix.building.steps import all_steps
from fruix.errors import UsageError


def test_a_step_fails_only_while_armed() -> None:
    with failpoints.armed("journal"):
        failpoints.reach("log")
        with pytest.raises(OSError, match="injected for a test") as caught:
            failpoints.reach("journal")
        assert caught.value.errno == errno.EIO
        with failpoints.armed("journal:ENOSPC"), pytest.raises(OSError, match="No space left") as caught:
            failpoints.reach("journal")
        assert caught.value.errno == errno.ENOSPC
        assert failpoints.text() == "journal"
    failpoints.reach("journal")


@pytest.mark.parametrize(
    ("text", "why"), [("jornal", "no step 'jornal'"), ("journal:me", "'me' is neither a victim nor an error")]
)
def test_what_there_is_not(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        failpoints.begin({failpoints.VARIABLE: text}, all_steps)
    failpoints.arm("")


def test_the_victim_dies() -> None:
    pid = os.fork()
    if pid == 0:
        failpoints.begin({failpoints.VARIABLE: "register:daemon"}, all_steps)
        failpoints.reach("journal")
        failpoints.reach("register")
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


def test_a_client_is_handed_on_by_its_number() -> None:
    with failpoints.armed("exec:client"):
        failpoints.know("client", 1234)
        assert failpoints.text() == "exec:1234"


def test_names_are_unique_and_in_order() -> None:
    names = [step.name for step in all_steps()]
    assert len(set(names)) == len(names)
    assert names.index("journal") < names.index("clone") < names.index("exec") < names.index("register")
    assert "builder" in next(step for step in all_steps() if step.name == "exec").victims
