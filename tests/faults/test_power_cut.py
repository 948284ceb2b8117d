"""The power goes after any change that a store makes to its files.

What was promised is there, what is valid is whole, nothing else is left, and work goes on: on every
disk that a file system could leave behind (see `disks`). SIGKILL keeps the page cache and so can't
find a missing sync; here the disk itself forgets.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from faults.disks import Choice, Machine
from faults.looking import FULL, one_in, troubles
from faults.record import Change, What, read
from faults.trials import Trials
from faults.work import SCENARIOS, prepare_recovery

# Systems that can't sync one file system sync each file, and exchange no names (FreeBSD).
EACH_FILE = """
from fruix.store import flags
flags.sync_file_system, flags.HAS_SYNCFS = lambda descriptor: False, False
flags.exchange = lambda *names: False
"""


def record(trial: Trials, root: str, scenario: str, *, strict: bool = False, omit: str = "") -> list[Change]:
    os.makedirs(root)
    log = Path(f"{root}.log")
    done = trial.run(scenario, root, strict=strict, log=log, omit=omit)
    assert (done.signal, done.failures) == (0, [])
    return read(log, root)


def record_recovery(trial: Trials, root: str, omit: str = "") -> tuple[Machine, list[Change]]:
    """What a start after a power cut changes, and the disk as it was before."""
    os.makedirs(root)
    machine = Machine()
    machine.promised.update({str(path): "" for path in prepare_recovery(root)})
    machine.load(root)
    log = Path(f"{root}.log")
    done = trial.run("recovery", root, log=log, omit=omit)
    assert (done.signal, done.failures) == (0, [])
    return machine, read(log, root)


def cuts(
    changes: list[Change], root: str, *, step: int, seeds: int = 1, machine: Machine | None = None
) -> Iterator[str]:
    """What is wrong after a power cut behind every `step`th change, and around each sync."""
    machine = machine or Machine()
    for number, change in enumerate(changes):
        is_sync = change.what in {What.SYNC, What.SYNC_ALL}
        if is_sync and step > 1:
            yield from _cut(machine, root, number, seeds)
        machine.take(change)
        if number % step == 0 or is_sync:
            yield from _cut(machine, root, number, seeds)


def _cut(machine: Machine, root: str, number: int, seeds: int) -> Iterator[str]:
    for choice in Choice:
        varied = choice in {Choice.ORDERED, Choice.FREE}
        for seed in range(seeds if varied else 1):
            machine.disk(choice, random.Random(number * 1000 + seed)).restore(root)
            for trouble in troubles(root, machine.promised):
                yield f"after change {number}, {choice.name}, {seed}: {trouble}"


@pytest.mark.parametrize("omit", ["", EACH_FILE], ids=["syncfs", "each file"])
@pytest.mark.parametrize("strict", [False, True], ids=["background", "strict"])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_power_cuts(trial: Trials, root: str, scenario: str, strict: bool, omit: str) -> None:
    changes = record(trial, root, scenario, strict=strict, omit=omit)
    promises = [change.first for change in changes if change.what is What.NOTE]
    assert len(changes) > 200
    assert len(promises) > 2
    assert list(cuts(changes, root, step=one_in(25), seeds=4 if FULL else 1)) == []


def test_power_cuts_during_recovery(trial: Trials, root: str) -> None:
    machine, changes = record_recovery(trial, root)
    assert any(change.what is What.UNLINK for change in changes)
    assert list(cuts(changes, root, step=one_in(5), seeds=4, machine=machine)) == []


def test_strict_promises_at_once(trial: Trials, root: str) -> None:
    """With `strict` the first promise comes with the first path, else with the first explicit sync."""
    before = []
    for strict in (False, True):
        changes = record(trial, root, "adds", strict=strict)
        before.append(changes[: _first_promise(changes)])
        os.rename(root, f"{root}.{strict}")
    published = [sum(change.what is What.RENAME for change in changes) for changes in before]
    assert published[1] < published[0]


def _first_promise(changes: list[Change]) -> int:
    return next(n for n, change in enumerate(changes) if change.first.startswith("promised "))
