"""Roots that are links: what lies in `gcroots` and `profiles`.

A symbolic link into the store is a root. One to somewhere else is an indirect root if what lies
there is itself a symbolic link into the store: a user's `result`, a generation of a profile. In
`gcroots/auto`, where each link stands for a user's link, one that leads nowhere any more is removed.
A plain file whose name is that of a store object is a root, too. Directories are walked, links to
directories are not followed.

Parts of these directories belong to users, who may change them meanwhile: they are walked by
descriptors, and what can't be read is passed over with a note.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

from fruix.dataclass import dataclass
from fruix.errors import BadStorePathError, FruixError
from fruix.model.storepath import StorePath, in_store
from fruix.store.leftovers import as_object
from fruix.store.tree.descriptors import OPEN_DIRECTORY, lstat, open_directory

_DEEPEST = 64


@dataclass(frozen=True, slots=True)
class FoundRoot:
    """A link and what it keeps, which need not be valid.

    Attributes:
        link: the user's own link for an indirect root, else the link itself; for what is no link,
            a text that says what it is.
        target: what it keeps.
        place: the link below `gcroots` or `profiles`, empty for what is no link.
        changed: when the link was made, in seconds since the epoch; 0 if there is none.
    """

    link: str
    target: StorePath
    place: str = ""
    changed: int = 0


class PersistentRoots:
    """Finds the roots of one store's state directory."""

    def __init__(
        self, places: Iterable[str], auto: str, store: str, note: Callable[[str, str, str], None]
    ) -> None:
        """Look at nothing yet.

        Args:
            places: the directories.
            auto: the one in which links that lead nowhere are removed.
            store: the store directory.
            note: told of what is passed over or removed: what (`stale`, `unreadable`), link, target.
        """
        self._places = tuple(places)
        self._auto = auto
        self._store = store
        self._note = note

    def find(self) -> Iterator[FoundRoot]:
        """Yield all roots, in the order of their places."""
        for place in self._places:
            try:
                descriptor = os.open(place, OPEN_DIRECTORY)
            except FileNotFoundError:
                continue
            try:
                yield from self._walk(descriptor, place, 0)
            finally:
                os.close(descriptor)

    def _walk(self, descriptor: int, path: str, depth: int) -> Iterator[FoundRoot]:
        for name in sorted(os.listdir(descriptor)):
            with self._passing_over(f"{path}/{name}"):
                status = lstat(descriptor, os.fsencode(name))
                if not stat.S_ISDIR(status.st_mode):
                    yield from self._root(descriptor, path, name, status)
                elif depth < _DEEPEST:
                    inner = open_directory(descriptor, os.fsencode(name), expect=status)
                    try:
                        yield from self._walk(inner, f"{path}/{name}", depth + 1)
                    finally:
                        os.close(inner)

    def _root(self, directory: int, path: str, name: str, status: os.stat_result) -> Iterator[FoundRoot]:
        place, changed = f"{path}/{name}", int(status.st_mtime)
        if stat.S_ISREG(status.st_mode):
            if (kept := as_object(self._store, name)) is not None:
                yield FoundRoot(place, kept, place, changed)
            return
        if not stat.S_ISLNK(status.st_mode):
            return
        target = os.readlink(name, dir_fd=directory)
        if (kept := self._in_store(target)) is not None:
            yield FoundRoot(place, kept, place, changed)
            return
        link = os.path.normpath(os.path.join(path, target))
        try:
            found = os.lstat(link)
        except (FileNotFoundError, NotADirectoryError):
            if path == self._auto:
                self._note("stale", place, link)
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=directory)
            return
        if stat.S_ISLNK(found.st_mode) and (kept := self._in_store(os.readlink(link))) is not None:
            yield FoundRoot(link, kept, place, int(found.st_mtime))

    def _in_store(self, target: str) -> StorePath | None:
        """What a link's target keeps: the store path that it is, or lies in."""
        try:
            return in_store(target, self._store)[0]
        except BadStorePathError:
            return None

    @contextmanager
    def _passing_over(self, path: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            return  # gone meanwhile
        except (OSError, FruixError) as error:
            self._note("unreadable", path, str(error))
