"""Already downloaded files.

A directory (`FRUIX_SOURCES`, or `sources` in the configuration) searched by hash.

Files that are named like what is wanted are tried first, so that the usual case hashes one file.
Names are only an order: what counts is the hash. Symlinks are followed here, since the directory is
the operator's (or the caller's own).
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from fruix.model.hashes import Hash, hasher
from fruix.store.tree.interruption import check_interrupt

CHUNK = 1 << 20


def find_source(directories: Iterable[str], wanted: Hash, names: Iterable[str]) -> str | None:
    """The path of a file whose hash is `wanted`, or None.

    Regular files of `directories` count, not those of their subdirectories.
    """
    likely = set(names)
    for directory in directories:
        try:
            entries = [entry for entry in os.scandir(directory) if entry.is_file()]
        except OSError:
            continue
        entries.sort(key=lambda entry: (entry.name not in likely, entry.name))
        for entry in entries:
            if _hash_of(entry.path, wanted.algorithm) == wanted.digest:
                return entry.path
    return None


def _hash_of(path: str, algorithm: str) -> bytes | None:
    state = hasher(algorithm)
    try:
        with open(path, "rb") as file:
            while chunk := file.read(CHUNK):
                check_interrupt()
                state.update(chunk)
    except OSError:
        return None
    return bytes(state.digest())
