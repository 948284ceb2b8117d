"""Looking at one valid path.

Cost: one lstat, or with contents one read of its files at SHA-256 speed. What is found is looked at
once more before it is told of: meanwhile a deduplication may have put one file in the place of
another, or a collector deleted the path.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from fruix.errors import FruixError
from fruix.model.finding import Finding, FindingKind
from fruix.model.pathinfo import PathInfo
from fruix.store.database import Database
from fruix.store.objects.content_hashes import hash_stream
from fruix.store.tree.descriptors import lstat
from fruix.store.tree.dump import dump
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

    def inspect(self, infos: Sequence[PathInfo]) -> list[Finding]:
        """What is wrong with some valid paths, in their order."""
        return [finding for info in infos for finding in self._certain(info)]

    def _certain(self, info: PathInfo) -> list[Finding]:
        found = self._look(info)
        for _ in range(_LOOKS - 1):
            if not found:
                break
            current = self.database.info(info.path)
            if current is None:
                return []
            found = self._look(current)
        return found

    def _look(self, info: PathInfo) -> list[Finding]:
        subject = str(info.path)
        try:
            if not self.contents:
                status = lstat(self.store, os.fsencode(info.path.base))
                return _told(subject, list(differences(status)))
            return self._read(info)
        except FileNotFoundError:
            return [Finding(FindingKind.MISSING, subject)]
        except (OSError, FruixError) as error:
            return [Finding(FindingKind.UNREADABLE, subject, found=str(error))]

    def _read(self, info: PathInfo) -> list[Finding]:
        subject, check = str(info.path), MetadataCheck()
        found, size = hash_stream(dump(self.store, os.fsencode(info.path.base), prepare=check))
        if found != info.nar_hash:
            wrong = Finding(FindingKind.MODIFIED, subject, info.nar_hash.prefixed16, found.prefixed16)
            return [wrong]
        if size != info.nar_size:
            return [Finding(FindingKind.SIZE, subject, str(info.nar_size), str(size))]
        return _told(subject, check.found)


def _told(subject: str, found: Sequence[Difference]) -> list[Finding]:
    return [Finding(FindingKind.METADATA, subject, right, what) for what, right in found]
