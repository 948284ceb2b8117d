"""The power goes after any change that a store makes to its files.

What was promised is there, what is valid is whole, nothing else is left, and work goes on: on every
disk that a file system could leave behind (see `disks`). SIGKILL keeps the page cache and so can't
find a missing sync; here the disk itself forgets.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from faults.disks import VARIED, Choice, Machine
from faults.looking import EVERY, counted, one_in, troubles
from faults.record import Change, What, read
from faults.scenarios import SCENARIOS, prepare_guix_store, prepare_recovery
from faults.trials import Trials
from fruix.model.storepath import StorePath

# Systems that can't sync one file system sync each file, and exchange no names (FreeBSD).
EACH_FILE = """
from fruix.store import flags
flags.sync_file_system, flags.HAS_SYNCFS = lambda descriptor: False, False
flags.exchange = lambda *names: False
"""

# Where names can't be exchanged (overlayfs, FreeBSD).
TWO_RENAMES = """
from fruix.store import flags
flags.exchange = lambda *names: False
"""


def record(trial: Trials, root: str, scenario: str, *, strict: bool = False, omit: str = "") -> list[Change]:
    os.makedirs(root)
    log = Path(f"{root}.log")
    done = trial.run(scenario, root, strict=strict, log=log, omit=omit)
    assert (done.signal, done.failures) == (0, [])
    return _counted(read(log, root))


def record_recovery(
    trial: Trials,
    root: str,
    omit: str = "",
    *,
    prepare: Callable[[str], list[StorePath]] = prepare_recovery,
) -> tuple[Machine, list[Change]]:
    """What a start changes, and the disk as it was before: after a power cut, or as `prepare` says."""
    os.makedirs(root)
    machine = Machine()
    machine.promised.update({str(path): "" for path in prepare(root)})
    machine.load(root)
    log = Path(f"{root}.log")
    done = trial.run("recovery", root, log=log, omit=omit)
    assert (done.signal, done.failures) == (0, [])
    return machine, _counted(read(log, root))


def _counted(changes: list[Change]) -> list[Change]:
    counted.update(records=1, changes=sum(change.what is not What.NOTE for change in changes))
    return changes


def cuts(
    changes: list[Change],
    root: str,
    *,
    step: int,
    seeds: int = 1,
    one_of: int = 1,
    after: int = 0,
    machine: Machine | None = None,
) -> Iterator[str]:
    """What is wrong after a power cut behind every `step`th change, the last, and around each sync.

    `one_of`: how many of these moments there are for each that is tried; `after`: the first of them.
    """
    machine = machine or Machine()
    syncs = [at for at, change in enumerate(changes) if change.what in {What.SYNC, What.SYNC_ALL}]
    moments = sorted({*range(0, len(changes), step), *syncs, *(at - 1 for at in syncs), len(changes) - 1})
    tried = {at for at in moments[len(changes) % one_of :: one_of] if at >= after}
    for at, change in enumerate(changes):
        machine.take(change)
        if at in tried:
            yield from _cut(machine, root, at, seeds)


def _cut(machine: Machine, root: str, number: int, seeds: int) -> Iterator[str]:
    counted["cuts"] += 1
    for choice in Choice:
        for seed in range(seeds if choice in VARIED else 1):
            machine.disk(choice, random.Random(number * 1000 + seed)).restore(root)
            counted["disks"] += 1
            deleted = {os.path.basename(path)[33:] for path in machine.damaged}
            for trouble in troubles(root, machine.promised, deleted=deleted, rebuilds=machine.rebuilds):
                yield f"after change {number}, {choice.name}, {seed}: {trouble}"


@pytest.mark.parametrize("omit", ["", EACH_FILE], ids=["syncfs", "each file"])
@pytest.mark.parametrize("strict", [False, True], ids=["background", "strict"])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_power_cuts(trial: Trials, root: str, scenario: str, strict: bool, omit: str) -> None:
    changes = record(trial, root, scenario, strict=strict, omit=omit)
    promises = [change.first for change in changes if change.what is What.NOTE]
    assert len(changes) > 200
    assert len(promises) > 2
    if EVERY:
        found = cuts(changes, root, step=1, one_of=EVERY, seeds=4 if EVERY == 1 else 2)
    else:
        found = cuts(changes, root, step=25, one_of=4)
    assert list(found) == []


def test_power_cuts_while_a_text_is_put_back(trial: Trials, root: str) -> None:
    """At each change of it: what has its name before it is on the disk can be damaged, and stay so."""
    changes = record(trial, root, "put_back")
    deleted = next(
        at
        for at, change in enumerate(changes)
        if change.what is What.NOTE and change.first.startswith("damaged")
    )
    assert list(cuts(changes, root, step=1, seeds=4, after=deleted)) == []


def test_power_cuts_while_a_path_is_added_beside_a_sync(trial: Trials, root: str) -> None:
    changes = record(trial, root, "beside_a_sync")
    assert list(cuts(changes, root, step=one_in(25), seeds=4)) == []


def test_power_cuts_during_recovery(trial: Trials, root: str) -> None:
    machine, changes = record_recovery(trial, root)
    assert any(change.what is What.UNLINK for change in changes)
    assert list(cuts(changes, root, step=one_in(5), seeds=4, machine=machine)) == []


def test_power_cuts_while_guix_s_database_is_taken_over(trial: Trials, root: str) -> None:
    machine, changes = record_recovery(trial, root, prepare=prepare_guix_store)
    assert any(".before-" in change.second for change in changes)
    assert list(cuts(changes, root, step=one_in(5), seeds=4, machine=machine)) == []


def early_deletions(changes: list[Change]) -> Iterator[str]:
    """What is deleted of an object while the one that takes its place is not on disk yet."""
    replaced = f"store/{'2' * 32}-second"
    published = [at for at, change in enumerate(changes) if change.second == replaced]
    for at, change in enumerate(changes[published[-1] :]):
        if change.what is What.SYNC and change.first == "store":
            return
        if change.what in {What.UNLINK, What.RMDIR}:
            yield f"{change.first}, {at} changes after the renaming"
    yield "never synced"


def test_an_object_goes_when_the_one_in_its_place_is_on_disk(trial: Trials, root: str) -> None:
    """With two renamings there is a moment without either; it is no longer than it must be."""
    assert list(early_deletions(record(trial, root, "outputs", omit=TWO_RENAMES))) == []


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
