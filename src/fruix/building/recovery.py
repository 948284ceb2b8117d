"""What a daemon's start undoes of its predecessor's builds."""

from __future__ import annotations

import os

from fruix.building.crashed import JOURNAL
from fruix.building.durations import History, counts, phase_seconds
from fruix.building.record.log_file import pack_left_over
from fruix.building.record.log_reading import bare_name
from fruix.building.record.record_file import read_record
from fruix.building.run.keep_failed import remove_unfinished
from fruix.errors import BadStorePathError, StoreError
from fruix.log import Log
from fruix.model.storepath import StorePath
from fruix.sandbox import Journal, JournalEntry, UserLocks, machine_directory
from fruix.sandbox.recover import recover
from fruix.store import Layout, LocalStore
from fruix.store.tree.delete import delete_tree

_log = Log(__name__)


def journal_of(layout: Layout) -> Journal:
    """The journal beside the build directories."""
    return Journal(f"{layout.builds}/{JOURNAL}")


def user_locks(layout: Layout) -> UserLocks:
    """The locks of this machine's build users.

    Where there is no place that all daemons share, those of this state directory alone.
    """
    return UserLocks(machine_directory(os.environ) or layout.userpool, f"the daemon on {layout.state}")


def recover_builds(store: LocalStore) -> list[str]:
    """Remove what builds of a crashed daemon left.

    Processes, cgroups, directories, outputs that were never registered.

    Returns:
        What was removed, a line each.

    Raises:
        StoreError: something can't be removed.
    """
    journal = journal_of(store.layout)
    left_over, history = journal.left_over(), History(store.layout.history)
    outputs = [name for entry in left_over for name in entry.outputs]
    done = [f"output {name}" for name in outputs if _remove_unregistered(store, name)]
    for entry in left_over:
        _conclude(store, entry, history)
    done += [f"unfinished copy {name}" for name in remove_unfinished(store.layout.kept)]
    return done + recover(journal, store.layout.builds, user_locks(store.layout), delete_tree)


def _conclude(store: LocalStore, entry: JournalEntry, history: History) -> None:
    """Do what is done behind the answer of a build, if this one came so far: its record is there."""
    try:
        path = StorePath.of(store.directory, entry.drv)
        bare = store.layout.log_file(path, check=entry.check)
        record = read_record(bare)
    except (BadStorePathError, StoreError):
        return
    if record is None or (record["isolation"] or {}).get("name") != entry.name:
        return
    try:
        if bare_name(record["log"]) == bare:
            pack_left_over(record["log"])
    except OSError as error:  # it can be read as it is
        _log.warning("the log of %s stays as it is: %s", path, error)
    name = record["name"]
    if counts(record) and not history.knows(entry.kind, name, str(path), record["started"]):
        seconds = record["finished"] - record["started"]
        history.add(entry.kind, name, seconds, phase_seconds(record["phases"]), str(path))


def _remove_unregistered(store: LocalStore, name: str) -> bool:
    try:
        path = StorePath.of(store.directory, name)
    except BadStorePathError:  # nothing that a build could have made
        return False
    if store.is_valid(path) or not os.path.lexists(store.real(path)):
        return False
    store.delete_unregistered(path)
    return True
