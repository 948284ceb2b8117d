"""Objects that hold the same, and what became of their files."""

from __future__ import annotations

import os
from pathlib import Path

from fruix.model.storepath import StorePath
from fruix.store.deduplication.rules import Rules
from fruix.store.local import LocalStore
from store.helpers import write_file

BIG = os.urandom(20_000)
LINKED = Rules(symlinks=True, clones=False)


def add_tree(store: LocalStore, place: Path, name: str, files: dict[str, bytes]) -> StorePath:
    root = place / f"source-{name}"
    for relative, data in files.items():
        (root / relative).parent.mkdir(parents=True, exist_ok=True)
        write_file(root / relative, data, 0o755 if relative.endswith(".sh") else 0o644)
    return store.add_path(name, str(root))


def inode(store: LocalStore, path: StorePath, relative: str = "") -> os.stat_result:
    return os.lstat(f"{store.directory}/{path.base}/{relative}".rstrip("/"))


def links(store: LocalStore) -> set[str]:
    return set(os.listdir(f"{store.directory}/.links"))
