"""Walking a file tree: iterative, by directory descriptors, in the order of an archive.

Yields a node before its children, directories a second time (`Kind.END`) after them; children in
the order of their names as bytes. Never follows a symlink, never leaves the device of the root, and
accepts regular files, directories and symlinks only. Depth costs no descriptors beyond
`open_directories.MOST`, and no length of a path counts, as none is ever put together but for
messages. Memory: the names of the directories on the way down, at most `MAX_ENTRIES` each.

Cost: one lstat per node and one open, listing, sort and close per directory; about 10 µs a file.
"""

from __future__ import annotations

import enum
import os
import stat
from collections.abc import Callable, Generator

from fruix.dataclass import dataclass, replace
from fruix.errors import ObjectRejectedError
from fruix.model.nar.read import MAX_DEPTH as READER_DEPTH
from fruix.model.text import shortened
from fruix.store.tree.descriptors import lstat, open_directory
from fruix.store.tree.interruption import check_interrupt
from fruix.store.tree.open_directories import OpenDirectories

MAX_DEPTH = READER_DEPTH  # an archive may not be deeper either
MAX_ENTRIES = 1 << 21
_FIRST_NAMES, _LAST_NAMES = 4, 12  # that a message shows of a deep path
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
    this node (-1 for END); `descriptor` is the directory's own for DIRECTORY and END, else -1.
    `outer` is the directory that holds it, None for the root; `root` stands for the root's name in
    messages.
    """

    kind: Kind
    parent: int
    name: bytes
    status: os.stat_result
    descriptor: int
    depth: int
    outer: Node | None
    root: bytes

    @property
    def path(self) -> str:
        """Where it lies, for messages: of a deep one the middle is left out."""
        return shortened(os.fsdecode(b"/".join([self.root, *self._names()])))

    @property
    def inside(self) -> str:
        """The same without the root's name, which gives "" for the root itself."""
        return shortened(os.fsdecode(b"/".join(self._names())))

    def _names(self) -> list[bytes]:
        names: list[bytes] = []
        node = self
        while node.outer is not None:
            names.append(node.name)
            node = node.outer
            if len(names) == _LAST_NAMES and node.depth > _LAST_NAMES:
                names.append(b"(%d more)" % (node.depth - _FIRST_NAMES))
                while node.depth > _FIRST_NAMES and node.outer is not None:
                    node = node.outer
        return names[::-1]

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
    root = _node(parent, name, lstat(parent, name), None, os.fsencode(where) or name)
    if root.kind is Kind.DIRECTORY:
        yield from _descend(root, max_depth, skip)
    else:
        yield root


def _descend(root: Node, max_depth: int, skip: Callable[[bytes], None] | None) -> Generator[Node, None, None]:
    directories = OpenDirectories(root.parent)
    directories.push(root.descriptor)
    try:
        yield root
        stack = [_Frame(root, _sorted_names(root))]
        while stack:
            check_interrupt()
            frame = stack[-1]
            if not frame.names:
                yield replace(frame.node, kind=Kind.END, parent=-1, descriptor=directories.top)
                stack.pop()
                directories.pop()
                continue
            node = _child(frame, directories.top, root.status.st_dev, max_depth, skip)
            if node is None:
                continue
            if node.kind is Kind.DIRECTORY:
                directories.push(node.descriptor)
                stack.append(_Frame(node, _sorted_names(node)))
            yield node
    finally:
        directories.close()


def _child(
    frame: _Frame, parent: int, device: int, max_depth: int, skip: Callable[[bytes], None] | None
) -> Node | None:
    """The next child of a frame's directory, which is open as `parent`; None: it is left out."""
    outer = frame.node
    name = frame.names.pop()
    status = lstat(parent, name)
    if status.st_dev != device:
        raise ObjectRejectedError(
            "a file system is mounted inside the tree", where=f"{outer.path}/{os.fsdecode(name)}"
        )
    if skip is not None and (outer.depth >= max_depth or stat.S_IFMT(status.st_mode) not in _KINDS):
        skip(name)
        return None
    if outer.depth >= max_depth:
        raise ObjectRejectedError(f"more than {max_depth} levels of directories", where=outer.path)
    return _node(parent, name, status, outer, outer.root)


def _node(parent: int, name: bytes, status: os.stat_result, outer: Node | None, root: bytes) -> Node:
    depth = outer.depth + 1 if outer is not None else 0
    kind = _KINDS.get(stat.S_IFMT(status.st_mode))
    if kind is None:
        where = f"{outer.path}/{os.fsdecode(name)}" if outer is not None else os.fsdecode(root)
        raise ObjectRejectedError(
            f"file '{where}' has an unsupported type",
            hint="only regular files, directories and symlinks can be kept in the store",
        )
    descriptor = open_directory(parent, name, expect=status) if kind is Kind.DIRECTORY else -1
    return Node(kind, parent, name, status, descriptor, depth, outer, root)


def _sorted_names(node: Node) -> list[bytes]:
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
