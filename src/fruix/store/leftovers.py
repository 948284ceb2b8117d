"""What processes that died left of a store.

Objects that have their final names and were never registered, and what they were putting together.

A process that has a store open has a directory of its own (`staging`), locked for its life and
removed when it closes the store: one that nobody holds is of a process that died, or lost its
power. Only then the store directory is read at all; a start after a clean stop costs nothing in
proportion to the store.

An unregistered object is removed only if it has got its name since that process began (the change
time of an inode can't be set). What is older was not made by it: a database that somebody put back
may just not know it. That is left alone and told of, as is what has no name of a store object:
people have put it there.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from fruix.dataclass import dataclass, field
from fruix.errors import BadStorePathError
from fruix.late import late_pattern
from fruix.model.storepath import StorePath
from fruix.store.database import Database
from fruix.store.tree.delete import delete_tree
from fruix.store.tree.descriptors import OPEN_DIRECTORY, opened_directory

# Names of objects on the way into the store or out of it, for moments; they are no store path's.
NEAR = late_pattern(rb"\.tmp-[0-9a-f]{16}")
STAGING, OWNER, LINKS = ".staging", ".owner", ".links"
_SESSION = late_pattern(r"([0-9a-f]{16})-([0-9]{20})-[0-9a-f]{16}")
# Times of inodes lag behind the clock by a tick, on some file systems by a second or two.
_SLACK = 2_000_000_000
_BATCH = 1000
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Session:
    """A process that died with the store open.

    `began`: nanoseconds since the epoch; `place`: the directory that holds its own.
    """

    place: str
    name: str
    identity: str
    began: int


def session_name(identity: str) -> str:
    """The name of the staging directory of a process that opens the store of that identity now."""
    return f"{identity}-{max(0, time.time_ns() - _SLACK):020}-{os.urandom(8).hex()}"


def near_name() -> bytes:
    """A fresh name in the store directory for an object that is just being moved."""
    return b".tmp-" + os.urandom(8).hex().encode()


def crashed_sessions(places: Iterable[str]) -> list[Session]:
    """The sessions that nobody holds any more, of all directories in which there can be some."""
    return [session for place in places for session in _sessions(place) if _is_free(session)]


def _sessions(place: str) -> Iterator[Session]:
    try:
        names = sorted(os.listdir(place))
    except FileNotFoundError:
        return
    for name in names:
        if (match := _SESSION.fullmatch(name)) is not None:
            yield Session(place, name, match[1], int(match[2]))


def _is_free(session: Session) -> bool:
    try:
        descriptor = os.open(f"{session.place}/{session.name}", OPEN_DIRECTORY)
    except OSError:  # no directory, so not one of ours
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def forget(sessions: Iterable[Session]) -> None:
    """Remove their directories with what lies in them: when everything else of them is gone."""
    for session in sessions:
        parent = os.open(session.place, OPEN_DIRECTORY)
        try:
            delete_tree(parent, session.name.encode())
        finally:
            os.close(parent)


@dataclass(slots=True)
class Swept:
    """What was found in a store directory.

    `removed`: base names; `older`: unregistered, but not of the crash; `foreign`: no objects.
    """

    removed: list[str] = field(default_factory=list)
    older: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def notes(self, store: str) -> list[str]:
        """Lines about what was left alone."""
        told = (
            (self.older, "not registered, older than the crash, left alone"),
            (self.foreign, "no store objects, left alone"),
        )
        return [f"in {store}, {what}: {_few(names)}" for names, what in told if names]


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(sorted(names)[:_SHOWN]) + more


def sweep(
    store: int, database: Database, sessions: Iterable[Session], remove: Callable[[str], None]
) -> Swept:
    """Remove what crashed sessions left in the store directory. Nobody else has the store open.

    Args:
        store: the open store directory.
        database: the one that is known to be the store's.
        sessions: the crashed ones.
        remove: deletes what has a name in the store.
    """
    swept, crashed = Swept(), list(sessions)
    if not crashed:
        return swept
    own = [one.began for one in crashed if one.identity == database.identity]
    for name in _unregistered(store, database, swept):
        is_near = NEAR.fullmatch(os.fsencode(name)) is not None  # was there for a moment, whosever it was
        if not is_near and (not own or os.lstat(name, dir_fd=store).st_ctime_ns < min(own)):
            swept.older.append(name)
        else:
            remove(name)
            swept.removed.append(name)
    return swept


def _unregistered(store: int, database: Database, swept: Swept) -> Iterator[str]:
    """Names in the store directory that should not be there, after noting the foreign ones."""
    kept = database.kept()
    with os.scandir(store) as entries:
        names = [entry.name for entry in entries]
    objects = []
    for name in names:
        path = as_object(database.directory, name)
        if path is not None and name not in kept:
            objects.append(path)
        elif NEAR.fullmatch(os.fsencode(name)):
            yield name
        elif path is None and name not in kept and not is_own(name):
            swept.foreign.append(name)
    remaining = iter(objects)
    while batch := list(islice(remaining, _BATCH)):
        valid = database.valid_of(batch)
        yield from (path.base for path in batch if path not in valid)


def is_own(name: str) -> bool:
    """Whether a name in the store directory that is no object's is one that stores themselves use."""
    return name in {STAGING, OWNER, LINKS} or NEAR.fullmatch(os.fsencode(name)) is not None


def as_object(directory: str, name: str) -> StorePath | None:
    """The store path of that base name; None if it is none."""
    try:
        return StorePath.of(directory, name)
    except BadStorePathError:
        return None


def has_objects(store: int, directory: str) -> bool:
    """Whether anything in the open store directory has the name of a store object.

    Reads no further than to the first.
    """
    with os.scandir(store) as entries:
        return any(as_object(directory, entry.name) is not None for entry in entries)


def has_links(store: int) -> bool:
    """Whether deduplication keeps anything in the open store directory."""
    try:
        with opened_directory(store, LINKS) as links, os.scandir(links) as entries:
            return any(True for _ in entries)
    except FileNotFoundError:
        return False
