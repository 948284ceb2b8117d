"""A build's output becomes a store object.

Taken over, made canonical, hashed and scanned for references in one pass.

Order (docs/isolation.md): everything of the build is dead and unmounted. The output is looked at
without touching it; renamed out of the build's area into our private staging directory, or, if
anything of the build could still hold a descriptor, copied into fresh inodes there; then read once:
each node is checked, made canonical, and goes through the hash and the reference scanner. Only then
does it get its final name. Files with a hard link outside of the build's outputs are replaced by
fresh copies on the way.

Cost: one read of the data at the speed of the slower of SHA-256 (own thread) and the reference
scan; some 60 µs a file.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Collection

from fruix.dataclass import dataclass, field
from fruix.model.contentaddress import ContentAddress
from fruix.model.hashes import Hash
from fruix.model.pathinfo import PathInfo
from fruix.model.refscan import ReferenceScanner
from fruix.model.storepath import StorePath, by_hash_part
from fruix.store import flags
from fruix.store.objects.staging import Staging
from fruix.store.outputs.canonical import Canonicalisation, Links, check_owner, check_top
from fruix.store.tree.copy import copy_data, copy_tree
from fruix.store.tree.delete import delete_tree
from fruix.store.tree.descriptors import CREATE_FILE, lstat, open_file
from fruix.store.tree.dump import AS_IT_IS, Preparation, dump
from fruix.store.tree.file_contents import SizeBudget
from fruix.store.tree.hashing import StreamHash
from fruix.store.tree.metadata import file_mode, finish_open
from fruix.store.tree.walk import Kind, Node


@dataclass(frozen=True, slots=True)
class OutputPolicy:
    """By which rules an output of a finished build becomes a store object.

    Attributes:
        build_uid: the user that must own every file.
        candidates: what it may refer to (the closure of the inputs and all outputs).
        copy: copy into fresh inodes (anything of the build could still have a descriptor).
        links: hard links of all outputs of the build, from `count_links`; None: only this one's
            count.
        expected: what a fixed output must hold, checked before it gets its final name.
        on_mismatch: told of one that holds something else, by the name that this gives, and where it lies
            before it is deleted.
        budget: bytes of contents that all outputs of the build may have; it is spent.
    """

    build_uid: int
    candidates: Collection[StorePath]
    copy: bool = False
    links: Links | None = None
    expected: ContentAddress | None = None
    on_mismatch: Callable[[PathInfo, bytes], None] = lambda _info, _place: None
    budget: SizeBudget = field(default_factory=SizeBudget)


@dataclass(frozen=True, slots=True)
class Output:
    """Where a build left an output: a name in an open directory.

    `where` stands for it in messages.
    """

    parent: int
    name: bytes
    where: str


@dataclass(frozen=True, slots=True)
class Imported:
    """What one pass over an output found out.

    `references` are hash parts out of those that were looked for.
    """

    nar_hash: Hash
    nar_size: int
    references: frozenset[bytes]


def take(output: Output, staging: Staging, place: bytes, policy: OutputPolicy) -> Imported:
    """Bring an output into the staging directory under the name `place`, and read it there.

    Raises:
        ObjectRejectedError: foreign owner, writable for others, special file, too big.
        FileNotFoundError: there is no output.
    """
    prepare = _bring(output, staging, place, policy)
    budget = None if prepare is AS_IT_IS else policy.budget  # a copy's files were counted before
    scanner = ReferenceScanner(by_hash_part(policy.candidates))
    with StreamHash("sha256") as stream:
        for chunk in dump(staging.directory, place, prepare=prepare, budget=budget, where=output.where):
            stream.update(chunk)  # another thread hashes this while we scan it
            scanner.feed(chunk)
        return Imported(stream.finish(), stream.size, frozenset(scanner.found))


def _bring(output: Output, staging: Staging, place: bytes, policy: OutputPolicy) -> Preparation:
    """Rename or copy an output to `place`; returns what is left to do to each of its nodes."""
    status = lstat(output.parent, output.name)
    check_top(status, policy.build_uid, output.where)
    flags.clear(output.parent, output.name, status)  # what can't be changed can't be moved either
    if not policy.copy and _renamed(output, staging, place):
        links = policy.links or Links()
        return Canonicalisation(
            policy.build_uid, links, lambda node, descriptor: _replace(staging, node, descriptor)
        )
    inspect = _Inspection(policy.build_uid, policy.budget)
    copy_tree(output.parent, output.name, staging.directory, place, check=inspect, where=output.where)
    delete_tree(output.parent, output.name)
    return AS_IT_IS


def _renamed(output: Output, staging: Staging, place: bytes) -> bool:
    """Move an output by its name; False when it lies on another file system."""
    try:
        os.rename(output.name, place, src_dir_fd=output.parent, dst_dir_fd=staging.directory)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        return False
    return True


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
