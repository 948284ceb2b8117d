"""Walking a file tree: iterative, by directory descriptors, in the order of an archive.

Yields a node before its children, directories a second time (`Kind.END`) after them; children in
the order of their names as bytes. Never follows a symlink, never leaves the device of the root,
accepts regular files, directories and symlinks only, and holds one descriptor per level, at most
`MAX_DEPTH` + 1 (an archive may not be deeper either, docs/store.md). Memory: the names of the
directories on the way down, at most `MAX_ENTRIES` each.

Cost: one lstat per node and one open, listing, sort and close per directory; about 10 µs a file.
"""

from __future__ import annotations

import enum
import os
import stat
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace

from fruix.errors import ObjectRejectedError
from fruix.store.tree.descriptors import lstat, open_directory
from fruix.store.tree.interruption import check_interrupt

MAX_DEPTH = 64
MAX_ENTRIES = 1 << 21
_LISTED = 1 << 12  # entries listed between two looks whether to go on


class Kind(enum.Enum):
    """What a node is; `END` is a directory after its children."""

    FILE = "regular"
    SYMLINK = "symlink"
    DIRECTORY = "directory"
    END = "end"


_KINDS = {stat.S_IFREG: Kind.FILE, stat.S_IFLNK: Kind.SYMLINK, stat.S_IFDIR: Kind.DIRECTORY}


@dataclass(frozen=True, slots=True)
class Node:
    """One object of a tree.

    `parent` is the descriptor of the directory that holds it, open as long as the walk stands at
    this node; `descriptor` is the directory's own for DIRECTORY and END, else -1. `place` is where
    it lies, for messages.
    """

    kind: Kind
    parent: int
    name: bytes
    status: os.stat_result
    descriptor: int
    depth: int
    place: bytes

    @property
    def path(self) -> str:
        """Where it lies, from the root's name (or what was given for it) on."""
        return os.fsdecode(self.place)

    @property
    def is_executable(self) -> bool:
        """Whether the owner's execute bit is set, the only bit of a mode that an archive keeps."""
        return bool(self.status.st_mode & 0o100)


@dataclass(slots=True)
class _Frame:
    node: Node
    names: list[bytes]  # the ones still to do, last first


def walk(
    parent: int,
    name: bytes,
    *,
    where: str = "",
    max_depth: int = MAX_DEPTH,
    skip: Callable[[bytes], None] | None = None,
) -> Generator[Node, None, None]:
    """Walk the tree at `name` in the open directory `parent`.

    Close the generator to drop its descriptors early.

    Args:
        parent: descriptor of the directory that holds the root; stays the caller's.
        name: the root's name there.
        where: text for messages in place of the root's name.
        max_depth: levels below the root.
        skip: told of each special file and of what lies too deep, which is then left out instead of
            refused.

    Raises:
        ObjectRejectedError: special file, other device, too deep, too many entries.
        OSError: as the system says.
        Interrupted: see `interruption`.
    """
    check_interrupt()
    root = _node(parent, name, lstat(parent, name), 0, os.fsencode(where) or name)
    if root.kind is Kind.DIRECTORY:
        yield from _descend(root, max_depth, skip)
    else:
        yield root


def _descend(root: Node, max_depth: int, skip: Callable[[bytes], None] | None) -> Generator[Node, None, None]:
    stack = [_Frame(root, [])]
    try:
        yield root
        stack[0].names = _names(root)
        while stack:
            check_interrupt()
            frame = stack[-1]
            if not frame.names:
                yield replace(frame.node, kind=Kind.END)
                os.close(stack.pop().node.descriptor)
                continue
            node = _child(frame, root.status.st_dev, max_depth, skip)
            if node is None:
                continue
            if node.kind is Kind.DIRECTORY:
                stack.append(_Frame(node, []))  # on the stack first: its descriptor is closed whatever comes
                stack[-1].names = _names(node)
            yield node
    finally:
        for frame in stack:
            os.close(frame.node.descriptor)


def _child(frame: _Frame, device: int, max_depth: int, skip: Callable[[bytes], None] | None) -> Node | None:
    outer = frame.node
    name = frame.names.pop()
    status = lstat(outer.descriptor, name)
    place = outer.place + b"/" + name
    if status.st_dev != device:
        raise ObjectRejectedError("a file system is mounted inside the tree", where=os.fsdecode(place))
    if skip is not None and (outer.depth >= max_depth or stat.S_IFMT(status.st_mode) not in _KINDS):
        skip(place)
        return None
    if outer.depth >= max_depth:
        raise ObjectRejectedError(f"more than {max_depth} levels of directories", where=outer.path)
    return _node(outer.descriptor, name, status, outer.depth + 1, place)


def _node(parent: int, name: bytes, status: os.stat_result, depth: int, place: bytes) -> Node:
    kind = _KINDS.get(stat.S_IFMT(status.st_mode))
    if kind is None:
        raise ObjectRejectedError(
            f"file '{os.fsdecode(place)}' has an unsupported type",
            hint="only regular files, directories and symlinks can be kept in the store",
        )
    descriptor = open_directory(parent, name, expect=status) if kind is Kind.DIRECTORY else -1
    return Node(kind, parent, name, status, descriptor, depth, place)


def _names(node: Node) -> list[bytes]:
    """The names in a directory, sorted so that `pop` gives the smallest."""
    names: list[bytes] = []
    with os.scandir(node.descriptor) as entries:
        for entry in entries:
            names.append(os.fsencode(entry.name))
            if len(names) > MAX_ENTRIES:
                raise ObjectRejectedError(f"a directory has more than {MAX_ENTRIES} entries", where=node.path)
            if not len(names) % _LISTED:
                check_interrupt()
    names.sort(reverse=True)
    return names
