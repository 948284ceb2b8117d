"""Every sync, renaming and order in the store's code is needed: without any one of them a test fails.

The syncs and renamings are found in the source, so that a new one is in the list by itself and has
to be put into a table: `CUTS`, of those that power cuts show, with the scenario that does, or
`TESTS`, of those that another test notices, or `MADE_UP`, with the reason. The orders are named there.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

import fruix.store
from faults.looking import EVERY, counted
from faults.mutate import BEFORE, NAMES, SYNCS, VARIABLE, calls_in
from faults.scenarios import prepare_guix_store, prepare_recovery
from faults.test_power_cut import (
    EACH_FILE,
    TWO_RENAMES,
    cuts,
    early_deletions,
    record,
    record_recovery,
)
from faults.trials import Trials
from fruix.model.storepath import StorePath


@dataclass(frozen=True, slots=True)
class Tried:
    """What is done to the mutated code."""

    scenario: str
    how: str = ""
    strict: bool = False
    seeds: int = 3


ADDS, ADDS_STRICT = Tried("adds"), Tried("adds", strict=True)
EACH_STRICT = Tried("adds", EACH_FILE, strict=True)
BESIDE, OUTPUTS, OUTPUTS_EACH = Tried("beside_a_sync"), Tried("outputs"), Tried("outputs", EACH_FILE)
COLLECTIONS, DEDUPLICATION = Tried("collections"), Tried("deduplication")
REPAIRS, REBUILDING = Tried("repairs"), Tried("rebuilding")
RECOVERY, TAKEN_OVER = Tried("recovery"), Tried("taking over")
STARTS: Mapping[str, Callable[[str], list[StorePath]]] = {
    "recovery": prepare_recovery,
    "taking over": prepare_guix_store,
}

CUTS: Mapping[str, Tried] = {
    "additions.StoredObjects.sync: wait 0": ADDS,
    "claim.claim: sync_log 0": DEDUPLICATION,
    "claim.claim: sync_log 1": BESIDE,
    "collection.collector.Collector.delete_rows: sync_log 0": COLLECTIONS,
    "collection.collector.Collector.delete_rows: sync_log before _shred": COLLECTIONS,
    "database_file.DatabaseFile.sync_log: sync_path 0": BESIDE,
    "durability.Syncer.wait: _advance 0": ADDS,
    "durability.Syncer.stop: wait 0": ADDS,
    "durability.Syncer._advance: _sync_files 0": BESIDE,
    "durability.Syncer._advance: sync_log 0": BESIDE,
    "durability.Syncer._advance: last_id before _sync_files": BESIDE,
    "durability.Syncer._advance: _sync_files before set_mark": ADDS,
    "durability.Syncer._advance: sync_log before _noted": ADDS,
    "durability.Syncer._sync_files: fsync 0": EACH_STRICT,
    "durability.Syncer._sync_files: sync_file_system 0": BESIDE,
    "durability.Syncer._sync_files: sync_tree 0": EACH_STRICT,
    "guix_database._copy_to: sync_path 0": TAKEN_OVER,
    "local.LocalStore._register: wait 0": ADDS_STRICT,
    "objects.add.Adding.text: publish before _register": ADDS_STRICT,
    "objects.add.Adding._publish: publish before _register": ADDS_STRICT,
    "objects.staging.Staging._create: fsync 0": Tried("beside_a_sync", seeds=16),
    "objects.staging.Staging._reaches_store: rename 0": BESIDE,
    "objects.staging.Staging.close: fsync 0": RECOVERY,
    "objects.staging.Staging.close: fsync before delete_tree": Tried("recovery", seeds=24),
    "objects.staging.Staging.replace: exchange 0": OUTPUTS,
    "objects.staging.Staging.replace: fsync 0": OUTPUTS,
    "objects.staging.Staging.replace: fsync before _discard": OUTPUTS,
    "objects.staging.Staging.replace: fsync 2": Tried("outputs", TWO_RENAMES),
    "objects.staging.Staging.replace: rename 0": REPAIRS,
    "objects.staging.Staging.replace: sync_object 0": OUTPUTS,
    "objects.staging.Staging.replace: sync_object before exchange": OUTPUTS,
    "outputs.import_tree._renamed: rename 0": OUTPUTS,
    "owner.StoreLock.note: fsync 0": COLLECTIONS,
    "owner.StoreLock.write: fsync 0": ADDS,
    "rebuilding.rebuild._swap: sync_path 0": REBUILDING,
    "rebuilding.rebuild._swap: rename 1": REBUILDING,
    "rebuilding.rebuild._write: sync_file_system 0": REBUILDING,
    "replacement.Replacements.replacing: sync_log 0": OUTPUTS_EACH,
    "replacement.Replacements.replacing: sync_log 1": OUTPUTS,
    "replacement.Replacements.replacing: wait 0": OUTPUTS,
    "replacement._settle: fsync 0": RECOVERY,
    "replacement.Replacements.replacing: sync_log before yield": OUTPUTS_EACH,
    "roots.replace_link: rename 0": COLLECTIONS,
    "tree.delete._rename: rename 0": COLLECTIONS,
    "tree.descriptors.move: rename 0": BESIDE,
    "tree.syncing.sync_object: sync_file_system 0": OUTPUTS,
    "tree.syncing.sync_object: sync_tree 0": OUTPUTS_EACH,
    "tree.syncing.sync_tree: fsync 0": EACH_STRICT,
    "tree.syncing.sync_tree: fsync 1": EACH_STRICT,
    "verification.stored.StoredVerification.forget_missing: sync_log 0": REPAIRS,
}
# Without these no power cut loses anything (the work itself is not done, or not by an ordinary
# user), or only one at a moment that a test makes.
_REPLACE = "tests/store/deduplication/test_replace.py::test_"
_MEANWHILE = "tests/store/deduplication/test_meanwhile.py::test_"
_GUIX = "tests/store/test_guix_database.py::test_"
_USER = "tests/store/test_ordinary_user.py"
TESTS: Mapping[str, str] = {
    "deduplication.replace.Deduplicator._swap: rename 0": f"{_REPLACE}a_path_that_is_a_file_is_deduplicated",
    "deduplication.replace.Deduplicator._swap: rename 1": _USER,
    "durability.Syncer._run: wait 0": "tests/store/test_durability.py::test_background_mark_follows",
    "durability.Syncer._held: _advance 0": f"{_MEANWHILE}nothing_older_is_replaced_by_what_is_not_on_disk",
    "guix_database._copy_to: rename 0": f"{_GUIX}it_is_taken_over_and_the_old_one_is_kept",
    "guix_database.give_back: rename 0": f"{_GUIX}what_is_given_to_guix",
    "guix_database.give_back: rename 1": f"{_GUIX}what_is_given_to_guix",
    "local.LocalStore._recover: mend before forget": (
        f"{_MEANWHILE}a_crash_between_leaves_no_directory_with_other_metadata"
    ),
    "objects.staging.Staging.retract: rename 0": (
        "tests/store/objects/test_add.py::test_only_ones_own_text_is_taken_back"
    ),
    "outputs.import_tree._replace: rename 0": (
        "tests/store/test_taking_links.py::test_a_link_kept_outside_can_not_change_the_store"
    ),
    "rebuilding.rebuild._swap: rename 0": "tests/store/rebuilding/test_rebuild.py::test_all_rows_come_back",
    "replacement._settle: rename 0": "tests/store/test_replacement.py::test_between_two_renames",
    "tree.descriptors.move: rename 1": _USER,
}
# What goes wrong without them is put right at once by something else.
MADE_UP: Mapping[str, str] = {
    "objects.staging.Staging.replace: fsync 1": "syncing the object brings its name too, unless it is a link",
    "tree.delete._rename: rename 1": "the directory is listed again, and can be moved by then",
}
# Those of `make test`: one of each kind, which are noticed soon.
SOME = frozenset(
    {
        "claim.claim: sync_log 1",
        "durability.Syncer._advance: _sync_files 0",
        "durability.Syncer._advance: last_id before _sync_files",
        "replacement._settle: fsync 0",
        "objects.staging.Staging.replace: fsync before _discard",
        "replacement.Replacements.replacing: sync_log 1",
        "tree.descriptors.move: rename 0",
        "tree.descriptors.move: rename 1",
    }
)


def troubles(trial: Trials, root: str, mutation: str) -> Iterator[str]:
    """What is wrong with the mutated code."""
    tried = CUTS[mutation]
    omit = f"{tried.how}\nfrom faults.mutate import Mutation\nMutation.parse({mutation!r}).apply()\n"
    try:
        if tried.scenario in STARTS:
            machine, changes = record_recovery(trial, root, omit, prepare=STARTS[tried.scenario])
        else:
            machine, changes = None, record(trial, root, tried.scenario, strict=tried.strict, omit=omit)
    except AssertionError as error:
        if "UNEXPECTED end" in str(error):
            raise
        yield f"does not work at all: {error}"
        return
    if tried.how is TWO_RENAMES:
        yield from early_deletions(changes)
    else:
        yield from cuts(changes, root, step=20, seeds=tried.seeds, machine=machine)


def _chosen(table: Mapping[str, object]) -> list[str]:
    return [mutation for mutation in table if EVERY or mutation in SOME]


@pytest.mark.parametrize("mutation", _chosen(CUTS))
def test_a_power_cut_shows_it(trial: Trials, root: str, mutation: str) -> None:
    counted["mutations"] += 1
    assert next(troubles(trial, root, mutation), None) is not None


@pytest.mark.parametrize("mutation", _chosen(TESTS))
def test_another_test_fails(mutation: str) -> None:
    counted["mutations"] += 1
    top = Path(__file__).parents[2]
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "faults.mutate", TESTS[mutation]]
    variables = {**os.environ, VARIABLE: mutation, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, cwd=top, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout


def test_all_are_in_the_tables() -> None:
    found = {str(one) for one in calls_in(Path(fruix.store.__file__).parent, SYNCS | NAMES)}
    orders = {mutation for mutation in (*CUTS, *TESTS) if BEFORE in mutation}
    assert found | orders == CUTS.keys() | TESTS.keys() | MADE_UP.keys()
    assert not CUTS.keys() & TESTS.keys()
    assert CUTS.keys() | TESTS.keys() >= SOME
