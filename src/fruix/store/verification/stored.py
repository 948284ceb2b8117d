"""What can be asked of a store about damage, and what of it is mended in place.

The part of `LocalStore` for that. What isn't there any more or was changed is made again by
building (`building.plan.repair`).
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack
from itertools import chain

from fruix.model.finding import Finding, FindingKind
from fruix.model.storepath import StorePath
from fruix.store import collection, verification
from fruix.store.collection.parts import Parts
from fruix.store.database import Contents
from fruix.store.durability import is_whole
from fruix.store.locks import PathLocks
from fruix.store.queries import StoreQueries
from fruix.store.tree.descriptors import exists

# What a thread takes at once: so many paths, or so many bytes.
_PAGE, _PAGE_SIZE = 64, 8 << 20
# So many of the biggest paths are begun first, so that no thread is left with one at the end.
_BIG, _MOST_BIG = 32 << 20, 1000


class StoredVerification(StoreQueries):
    """Mixed into `LocalStore`, which opens the store directory: questions that its files answer."""

    _descriptor: int
    _parts: Parts

    def is_there(self, path: StorePath) -> bool:
        """Whether a path is valid and nobody has deleted it by hand. A query and one lstat."""
        return self.is_valid(path) and self.has_files(path)

    def absent(self, paths: Collection[StorePath]) -> list[StorePath]:
        """Those of the paths of which `is_there` is false. A query for all of them and an lstat for each."""
        valid = self.valid_paths(paths)
        return [path for path in paths if path not in valid or not self.has_files(path)]

    def has_files(self, path: StorePath) -> bool:
        """Whether something lies at a path's name. One lstat."""
        return exists(self._descriptor, os.fsencode(path.base))

    def have_files(self, names: Iterable[str | bytes]) -> bool:
        """Whether something lies at each of these base names. An lstat for each.

        Raises:
            OSError: as the system says.
        """
        directory = self._descriptor
        try:
            for name in names:
                os.stat(name, dir_fd=directory, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def is_whole(self, path: StorePath) -> bool:
        """Whether a valid path's files are what they were when it was registered.

        Reads all of them.
        """
        info = self.path_info(path)
        return info is not None and is_whole(self._descriptor, info)

    def verify(self, *, contents: bool = False, strays: bool = False) -> list[Finding]:
        """Check the store: database, existence and metadata of all valid paths; nothing is changed.

        Args:
            contents: read and hash every path too, and the links of deduplication.
            strays: tell also of what lies there besides valid paths, which is no damage.
        """
        found = [Finding(FindingKind.DATABASE, found=text) for text in self.database.integrity()]
        found += self._inspected(self._pages(), contents=contents)
        if contents:
            found += verification.links.link_findings(self._descriptor, self._parts.layout.store)
        if strays:
            found += verification.strays.stray_findings(self._parts)
        return found

    def inspect(self, paths: Iterable[StorePath], *, contents: bool) -> list[Finding]:
        """The same for some paths; for those that are valid."""
        found = (self.database.contents(str(path)) for path in paths)
        return list(self._inspected(([each] for each in found if each is not None), contents=contents))

    def missing(self) -> list[StorePath]:
        """Valid paths that have no files, in the order of registration.

        Costs a listing of the store directory and a pass over the rows, some 2 µs a path.
        """
        there = set(os.listdir(self._descriptor))
        store = self._parts.layout.store
        bases = chain.from_iterable(self.database.bases())
        lacking = [StorePath.of(store, base) for base in bases if base not in there]
        found = self.inspect(lacking, contents=False)
        return [finding.path(store) for finding in found if finding.kind is FindingKind.MISSING]

    def _pages(self) -> Iterator[list[Contents]]:
        """What is known of the files of all valid paths, a few at a time."""
        big = self.database.big_contents(_BIG, _MOST_BIG)
        yield from ([each] for each in big)
        done = {each.row for each in big}
        page: list[Contents] = []
        size = 0
        for each in self.database.all_contents():
            if each.row in done:
                continue
            page.append(each)
            size += each.nar_size
            if len(page) == _PAGE or size >= _PAGE_SIZE:
                yield page
                page, size = [], 0
        yield page

    def _inspected(self, pages: Iterable[list[Contents]], *, contents: bool) -> Iterator[Finding]:
        inspector = verification.objects.Inspector(self.database, self._descriptor, contents)
        for found in verification.parallel.in_parallel(inspector.inspect, pages):
            yield from found

    # Mending

    def mend(self, finding: Finding) -> None:
        """Mend metadata, or take away a damaged link; other findings are left alone.

        Raises:
            FruixError: something that can't be in a store.
            OSError: as the system says.
        """
        if finding.kind is FindingKind.METADATA:
            verification.metadata.mend_metadata(
                self._descriptor, os.fsencode(finding.path(self._parts.layout.store).base)
            )
        elif finding.kind is FindingKind.LINK:
            verification.links.remove_link(self._descriptor, os.path.basename(finding.subject))

    def forget_missing(self, paths: Iterable[StorePath]) -> list[StorePath]:
        """Make paths invalid whose files are gone, as far as no other valid path refers to them.

        Paths that somebody has locked, so is just making again, are left.

        Returns:
            Those that are no longer valid.
        """
        with ExitStack() as locked:
            free = {path for path in paths if self._lock(path, locked)}
            if free and self.database.count() <= len(free):
                self._parts.emptied()
            with self.database.writing() as connection:
                rows = collection.liveness.rows_of(
                    connection, [path for path in free if not self.has_files(path)]
                )
                gone = collection.row_sets.without_held(connection, set(rows))
                collection.row_sets.delete_rows(connection, gone)
        self.database.sync_log()
        return sorted(rows[row] for row in gone)

    def _lock(self, path: StorePath, locked: ExitStack) -> bool:
        locks: PathLocks = locked.enter_context(self._parts.path_locks())
        return locks.acquire([path], wait=False)
