"""SIGKILL before any change that a store makes to its files; and errors of the disk there."""

from __future__ import annotations

import errno
import os
import shutil
import signal

import pytest

from faults.looking import counted, one_in, troubles
from faults.scenarios import DELETED, SCENARIOS
from faults.trials import Trials


def left(root: str, scenario: str) -> list[str]:
    """What is wrong afterwards."""
    return list(troubles(root, deleted=DELETED.get(scenario, ()), rebuilds=scenario == "rebuilding"))


def fresh(root: str) -> str:
    shutil.rmtree(os.path.dirname(root))
    os.makedirs(root)
    return root


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_killed_before_any_change(trial: Trials, root: str, scenario: str) -> None:
    total = trial.run(scenario, fresh(root)).changes
    assert total > 200
    tried = range(1, total - 20, one_in(11))  # names made of random numbers vary the end a bit
    for at in tried:
        done = trial.run(scenario, fresh(root), at=at)
        counted["kills"] += 1
        assert done.signal == signal.SIGKILL
        assert (at, left(root, scenario)) == (at, [])


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EDQUOT], ids=["full", "broken", "quota"])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_no_space_or_a_broken_disk_at_any_change(
    trial: Trials, root: str, scenario: str, error: int, lasting: bool
) -> None:
    total = trial.run(scenario, fresh(root)).changes
    failures = 0
    for at in range(1 + error % 7, total - 20, one_in(23)):
        done = trial.run(scenario, fresh(root), at=at, error=error, lasting=lasting)
        counted["errors"] += 1
        assert done.signal == 0
        assert [text for text in done.failures if text.startswith("UNEXPECTED")] == []
        failures += len(done.failures)
        assert (at, left(root, scenario)) == (at, [])
    assert failures > 5
