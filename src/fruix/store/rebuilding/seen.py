"""What one read of each object in the store tells: its hash, its size, and which others it mentions."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from itertools import islice

from fruix.dataclass import dataclass
from fruix.errors import FruixError
from fruix.model.hashes import Hash
from fruix.model.refscan import SharedScanner
from fruix.model.storepath import StorePath, by_hash_part
from fruix.store.objects.content_hashes import flat_chunks, hash_stream
from fruix.store.tree.descriptors import lstat
from fruix.store.tree.dump import dump
from fruix.store.tree.hashing import StreamHash
from fruix.store.verification.parallel import in_parallel

_RUN = 16


@dataclass(frozen=True, slots=True)
class Seen:
    """One object.

    Attributes:
        path: its store path.
        nar_hash: of its archive.
        nar_size: of its archive, in bytes.
        mentions: the paths of objects whose hash parts occur in the archive, sorted.
        flat_hash: the SHA-256 of a plain file that can't be executed.
    """

    path: StorePath
    nar_hash: Hash
    nar_size: int
    mentions: tuple[StorePath, ...]
    flat_hash: Hash | None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An object that can't be what was registered: why."""

    path: StorePath
    why: str


def see(store: int, paths: list[StorePath]) -> Iterator[Seen | Unreadable]:
    """Read objects of the open store directory, in parallel; results in their order."""
    by_part = by_hash_part(paths)
    parts = set(by_part)
    remaining = iter(paths)

    def look(run: list[StorePath]) -> list[Seen | Unreadable]:
        return [_see(store, path, by_part, parts) for path in run]

    for found in in_parallel(look, iter(lambda: list(islice(remaining, _RUN)), [])):
        yield from found


def _see(
    store: int, path: StorePath, by_part: Mapping[bytes, StorePath], parts: set[bytes]
) -> Seen | Unreadable:
    name, scanner = os.fsencode(path.base), SharedScanner(parts)
    try:
        with StreamHash("sha256") as stream:
            for chunk in dump(store, name):
                stream.update(chunk)
                scanner.feed(chunk)
            nar_hash = stream.finish()
        mentions = tuple(sorted(by_part[part] for part in scanner.found))
        return Seen(path, nar_hash, stream.size, mentions, _flat_hash(store, name))
    except (OSError, FruixError) as error:
        return Unreadable(path, str(error))


def _flat_hash(store: int, name: bytes) -> Hash | None:
    status = lstat(store, name)
    if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o100:
        return None
    return hash_stream(flat_chunks(store, name))[0]
