"""Whether a database and a store directory belong together, before anything in either is touched.

A store whose database was deleted, emptied, put back from an older copy or taken from elsewhere is
full of objects that the database doesn't know: they would count as garbage, and be replaced one
after the other. And a store that was emptied, or isn't mounted, has nothing of what its database
promises. Both are refused, until somebody says that it shall be so (`accept`).
"""

from __future__ import annotations

from fruix.errors import StoreError
from fruix.store.database import Database
from fruix.store.leftovers import has_objects
from fruix.store.owner import Owner, StoreLock
from fruix.store.tree.descriptors import exists

_HINT = (
    "bring back the database that belongs to it; or make it again from what lies in the store: "
    "'fruix store rebuild-database'; or start once with 'fruix daemon --accept-store': "
    "then what this one doesn't know is garbage"
)

_EMPTY_HINT = (
    "mount it, or bring back its objects; or start once with 'fruix daemon --accept-store': then what is "
    "needed is made again. If nothing of it is needed any more, delete the database too"
)


def claim(lock: StoreLock, database: Database, store: int, *, accept: bool) -> None:
    """Take the store for this database.

    This process is alone with both; cost: nothing in proportion to the store.

    Args:
        lock: held alone.
        database: open.
        store: the open store directory.
        accept: also if they don't belong together.

    Raises:
        StoreError: they don't.
    """
    owner = lock.read()
    if accept:
        database.sync_log()
        lock.write(database.identity, 0)
        return
    problem = _problem(owner, database, store)
    if problem and has_objects(store, database.directory):
        raise StoreError(problem, where=database.directory, hint=_HINT)
    _refuse_emptied(database, store)
    if owner.identity == database.identity and not problem:
        lock.write(owner.identity, owner.newest)
    else:
        database.sync_log()  # what the store is said to belong to has to outlive a power cut first
        lock.write(database.identity, database.mark())


def _refuse_emptied(database: Database, store: int) -> None:
    newest = database.newest_synced_path()
    if newest is None or exists(store, newest.base) or has_objects(store, database.directory):
        return
    raise StoreError(
        f"the store is empty, but {database.count()} paths are valid: it was emptied, or isn't mounted",
        where=database.directory,
        hint=_EMPTY_HINT,
    )


def _problem(owner: Owner, database: Database, store: int) -> str:
    """Why they don't belong together, if there is anything in the store; empty if they do."""
    if not owner.identity:
        newest = database.newest_path()
        if newest is None:
            return (
                f"nobody knows whose the objects in the store are; the database {database.file} knows of none"
            )
        if exists(store, newest.base):
            return ""
        return (
            f"the database {database.file} is another store's: "
            f"the newest path that it knows, '{newest}', is not there"
        )
    if owner.identity != database.identity:
        return (
            f"the store belongs to the database {owner.identity}, "
            f"but {database.file} is {database.identity}: "
            "it is new, or that of another store"
        )
    if (newest_id := database.newest()) < owner.newest:
        return (
            f"the database {database.file} is older than the store, or was emptied: "
            f"{owner.newest} paths were registered, it knows of {newest_id}"
        )
    return ""
