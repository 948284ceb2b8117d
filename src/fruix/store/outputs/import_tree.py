"""A build's output becomes a store object: taken over, made canonical, hashed and scanned for references in one pass.

Order (docs/isolation.md): everything of the build is dead and unmounted. The output is looked at without touching it; renamed out of the
build's area into our private staging directory, or, if anything of the build could still hold a descriptor, copied into fresh
inodes there; then read once: each node is checked, made canonical, and goes through the hash and the reference scanner.
Only then does it get its final name. Files with a hard link outside of the build's outputs are replaced by fresh copies
on the way.

Cost: one read of the data at the speed of the slower of SHA-256 (own thread) and the reference scan; some 60 µs a file.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from dataclasses import dataclass

from fruix.model.hashes import Hash
from fruix.model.refscan import ReferenceScanner
from fruix.store import flags
from fruix.store.objects.staging import Staging
from fruix.store.outputs.canonical import Canonicalisation, Links, check_owner, check_top
from fruix.store.tree.copy import copy_data, copy_tree
from fruix.store.tree.delete import delete_tree
from fruix.store.tree.descriptors import CREATE_FILE, lstat, open_file
from fruix.store.tree.dump import AS_IT_IS, Preparation, SizeBudget, dump
from fruix.store.tree.hashing import StreamHash
from fruix.store.tree.metadata import file_mode, finish_open
from fruix.store.tree.walk import Kind, Node


@dataclass(frozen=True, slots=True)
class Ingested:
    """What one pass over an output found out. `references` are hash parts out of those that were looked for."""

    nar_hash: Hash
    nar_size: int
    references: frozenset[bytes]


def take(
    parent: int,
    name: bytes,
    staging: Staging,
    place: bytes,
    *,
    owner: int,
    copy: bool,
    budget: SizeBudget,
    where: str,
) -> bool:
    """Bring an output into the staging directory under the name `place`.

    Returns:
        Whether it was copied (then it is canonical already).

    Raises:
        ObjectRejectedError: foreign owner, writable for others, special file, too big.
        FileNotFoundError: there is no output.
    """
    status = lstat(parent, name)
    check_top(status, owner, where)
    flags.clear(parent, name, status)  # what can't be changed can't be moved either
    if not copy:
        try:
            os.rename(name, place, src_dir_fd=parent, dst_dir_fd=staging.directory)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
        else:
            return False
    copy_tree(parent, name, staging.directory, place, check=_Inspection(owner, budget), where=where)
    delete_tree(parent, name)
    return True


def read(
    staging: Staging,
    place: bytes,
    *,
    candidates: Iterable[bytes],
    prepare: Preparation = AS_IT_IS,
    budget: SizeBudget | None = None,
    where: str,
) -> Ingested:
    """The one pass over a staged output."""
    scanner = ReferenceScanner(candidates)
    with StreamHash("sha256") as stream:
        for chunk in dump(staging.directory, place, prepare=prepare, budget=budget, where=where):
            stream.update(chunk)  # another thread hashes this while we scan it
            scanner.feed(chunk)
        return Ingested(stream.finish(), stream.size, frozenset(scanner.found))


def canonicalisation(staging: Staging, links: Links, owner: int) -> Canonicalisation:
    """What `read` does to each node of an output that was renamed, not copied."""
    return Canonicalisation(owner, links, lambda node, descriptor: _replace(staging, node, descriptor))


def _replace(staging: Staging, node: Node, source: int) -> int:
    """Put a fresh copy in the place of a file that somebody else may have a link to."""
    with staging.place() as fresh:
        target = os.open(fresh, CREATE_FILE, 0o600, dir_fd=staging.directory)
        try:
            copy_data(source, target, node.status.st_size, where=node.path)
            finish_open(target, file_mode(node.is_executable))
        finally:
            os.close(target)
        os.rename(fresh, node.name, src_dir_fd=staging.directory, dst_dir_fd=node.parent)
    return open_file(node.parent, node.name, lstat(node.parent, node.name))


class _Inspection:
    """What each node must satisfy before it is copied."""

    def __init__(self, owner: int, budget: SizeBudget) -> None:
        self._owner = owner
        self._budget = budget

    def __call__(self, node: Node) -> None:
        check_owner(node, self._owner)
        if node.kind is Kind.FILE:
            self._budget.spend(node.status.st_size, node.path)
