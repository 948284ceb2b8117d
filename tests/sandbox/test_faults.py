"""Faults are what they say, and nothing where none is armed."""

from __future__ import annotations

import errno
import os
import signal

import pytest

from fruix.errors import UsageError
from fruix.sandbox import faults


def test_a_step_fails_only_while_armed() -> None:
    with faults.armed("journal"):
        faults.reach("log")
        with pytest.raises(OSError, match="injected for a test") as caught:
            faults.reach("journal")
        assert caught.value.errno == errno.EIO
        with faults.armed("journal:ENOSPC"), pytest.raises(OSError, match="No space left") as caught:
            faults.reach("journal")
        assert caught.value.errno == errno.ENOSPC
        assert faults.text() == "journal"
    faults.reach("journal")


@pytest.mark.parametrize(
    ("text", "why"), [("jornal", "no step 'jornal'"), ("journal:me", "'me' is neither a victim nor an error")]
)
def test_what_there_is_not(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        faults.arm(text)


def test_the_victim_dies() -> None:
    pid = os.fork()
    if pid == 0:
        faults.begin({faults.VARIABLE: "register:daemon"})
        faults.reach("journal")
        faults.reach("register")
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


def test_a_client_is_handed_on_by_its_number() -> None:
    with faults.armed("exec:client"):
        faults.know("client", 1234)
        assert faults.text() == "exec:1234"


def test_names_are_unique_and_in_order() -> None:
    names = [step.name for step in faults.all_steps()]
    assert len(set(names)) == len(names)
    assert names.index("journal") < names.index("clone") < names.index("exec") < names.index("register")
    assert "builder" in next(step for step in faults.all_steps() if step.name == "exec").victims
