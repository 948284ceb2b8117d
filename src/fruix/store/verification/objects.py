"""Looking at one valid path.

Cost: one lstat, or with contents one read of its files at SHA-256 speed and 15 µs for each of them.
What is found is looked at once more before it is told of: meanwhile a deduplication may have put one
file in the place of another, or a collector deleted the path.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from fruix.dataclass import dataclass
from fruix.errors import FruixError
from fruix.model.finding import Finding, FindingKind
from fruix.model.hashes import Hash
from fruix.store.database import Contents, Database
from fruix.store.objects.content_hashes import hash_stream
from fruix.store.tree.descriptors import lstat
from fruix.store.tree.dump import dump, small_file
from fruix.store.tree.interruption import check_interrupt
from fruix.store.verification.metadata import Difference, MetadataCheck, differences

_LOOKS = 3


@dataclass(frozen=True, slots=True)
class Inspector:
    """Looks at paths of one store. Thread-safe.

    Attributes:
        database: of the store.
        store: its open directory.
        contents: also read and hash all files, and look at the metadata below the top.
    """

    database: Database
    store: int
    contents: bool

    def inspect(self, registered: Sequence[Contents]) -> list[Finding]:
        """What is wrong with some valid paths, in their order."""
        return [finding for each in registered for finding in self._certain(each)]

    def _certain(self, registered: Contents) -> list[Finding]:
        check_interrupt()
        found = self._look(registered)
        for _ in range(_LOOKS - 1):
            if not found:
                break
            current = self.database.contents(registered.path)
            if current is None:
                return []
            found = self._look(current)
        return found

    def _look(self, registered: Contents) -> list[Finding]:
        subject, name = registered.path, os.fsencode(registered.base)
        try:
            if not self.contents:
                return _told(subject, list(differences(lstat(self.store, name))))
            return self._read(registered, name)
        except FileNotFoundError:
            return [Finding(FindingKind.MISSING, subject)]
        except (OSError, FruixError) as error:
            return [Finding(FindingKind.UNREADABLE, subject, found=str(error))]

    def _read(self, registered: Contents, name: bytes) -> list[Finding]:
        found, size, metadata = self._hashed(name)
        subject = registered.path
        if found.prefixed16 != registered.nar_hash:
            return [Finding(FindingKind.MODIFIED, subject, registered.nar_hash, found.prefixed16)]
        if size != registered.nar_size:
            return [Finding(FindingKind.SIZE, subject, str(registered.nar_size), str(size))]
        return _told(subject, metadata)

    def _hashed(self, name: bytes) -> tuple[Hash, int, Sequence[Difference]]:
        """The hash and size of an object's archive, and what of its metadata is wrong."""
        if (small := small_file(self.store, name)) is not None:
            status, archive = small
            return Hash.of("sha256", archive), len(archive), list(differences(status))
        check = MetadataCheck()
        found, size = hash_stream(dump(self.store, name, prepare=check))
        return found, size, check.found


def _told(subject: str, found: Sequence[Difference]) -> list[Finding]:
    return [Finding(FindingKind.METADATA, subject, right, what) for what, right in found]
