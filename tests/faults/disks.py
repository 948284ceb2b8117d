"""Disks that a power cut leaves behind: everything that was synced, and of the rest any part.

It is one file of more than 400 lines: a change, what is pending of it, and the disks that are made of
that are one model, whose rules only make sense side by side.

A `Machine` takes in the changes of a record one by one. It knows what is there (as the process sees
it) and what is safe. Between both lie *pending* changes: of names (creation, renaming, linking,
removal: each is there or not as a whole, as journals do it), of modes, and of contents (each write,
and each page of it, is there or not; sizes too). `Machine.disk` makes up one disk of what is safe
and a choice of what is pending:

    NOTHING   what is safe alone
    ALL       everything: the process was killed, nothing else
    ORDERED   names and modes up to some moment, contents any: a journal of metadata (ext4, XFS, UFS)
    FREE      any subset of all: more than any file system mixes up
    LOG       all names and modes, and of contents only the database's log
    FILES     everything but what was written to the database's log

What a sync makes safe: fsync of a file its contents, its mode, and the names by which it is reached
(all of Linux's journalling file systems do so, and SQLite relies on it); of a directory the names in
it, and those by which it is reached; syncfs all that lies below its first directory (`store`: what
lies elsewhere could be on another file system).
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto

from faults.record import Change, What

PAGE = 4096
Names = dict[int, dict[str, int]]


class Choice(Enum):
    """Which pending changes a disk has; see the module."""

    NOTHING = auto()
    ALL = auto()
    ORDERED = auto()
    FREE = auto()
    LOG = auto()
    FILES = auto()


VARIED = frozenset({Choice.ORDERED, Choice.FREE})  # there are many such disks


@dataclass(slots=True)
class Inode:
    """A file (`data`), a symbolic link (`target`) or a directory, with what of its contents is pending."""

    number: int
    mode: int = 0o700
    is_directory: bool = False
    target: str | None = None
    safe: bytes = b""
    there: bytes = b""
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)  # None: the size is cut or grows

    def write(self, offset: int, data: bytes) -> None:
        self.pending.append((offset, data))
        self.there = _written(self.there, offset, data)

    def resize(self, size: int) -> None:
        self.pending.append((size, None))
        self.there = _resized(self.there, size)

    def sync(self) -> None:
        self.safe, self.pending = self.there, []


@dataclass(frozen=True, slots=True)
class Pending:
    """A change of names (directory, name, what it stands for afterwards) or of a mode."""

    names: tuple[tuple[int, str, int | None], ...] = ()
    mode: tuple[int, int] | None = None

    def apply(self, names: Names, modes: dict[int, int]) -> None:
        for directory, name, inode in self.names:
            entries = names.setdefault(directory, {})
            if inode is None:
                entries.pop(name, None)
            else:
                entries[name] = inode
        if self.mode is not None:
            modes[self.mode[0]] = self.mode[1]

    def concerns(self, inodes: set[int]) -> bool:
        """Whether it changes by which names one of the inodes is reached, or its mode."""
        return any(inode in inodes for _, _, inode in self.names) or (
            self.mode is not None and self.mode[0] in inodes
        )


class Machine:
    """A disk with its cache. `changes` are given to `take` in their order."""

    def __init__(self) -> None:
        self._inodes = {0: Inode(0, is_directory=True)}
        self._names: Names = {0: {}}  # what is there
        self._modes: dict[int, int] = {}
        self._safe_names: Names = {0: {}}
        self._safe_modes: dict[int, int] = {}
        self._pending: list[Pending] = []
        self._by_number: dict[int, int] = {}  # the system's number → ours, which are never used again
        self.promised: dict[str, str] = {}  # path → what `told` gives of it; empty: anything
        self.damaged: set[str] = set()  # paths whose files somebody has deleted
        self.rebuilds = False  # the database is just being made anew

    def load(self, root: str) -> None:
        """Begin with what lies below `root`; all of it is safe."""
        for directory, directories, files in os.walk(root):
            above = os.path.relpath(directory, root)
            for name in [*directories, *files]:
                path = os.path.join(directory, name)
                status = os.lstat(path)
                inode = Inode(len(self._inodes), status.st_mode & 0o7777)
                if os.path.islink(path):
                    inode.target = os.readlink(path)
                elif os.path.isdir(path):
                    inode.is_directory = True
                else:
                    with open(path, "rb") as file:
                        inode.safe = inode.there = file.read()
                short = name if above == "." else f"{above}/{name}"
                self._make(Change(What.CREATE, 0, status.st_ino, 0, short, "", b""), inode)
        self._settle(self._pending)

    def take(self, change: Change) -> None:
        """The next change."""
        _TAKEN[change.what](self, change)

    # Names

    def _find(self, path: str) -> int:
        found = 0
        for part in path.split("/") if path else ():
            found = self._names[found][part]
        return found

    def _place(self, path: str) -> tuple[int, str]:
        above, _, name = path.rpartition("/")
        return self._find(above), name

    def _change(self, *changed: tuple[tuple[int, str], int | None]) -> None:
        self._note(Pending(tuple((*place, inode) for place, inode in changed)))

    def _note(self, pending: Pending) -> None:
        pending.apply(self._names, self._modes)
        self._pending.append(pending)

    def _make(self, change: Change, inode: Inode) -> None:
        self._inodes[inode.number] = inode
        self._by_number[change.inode] = inode.number
        if inode.is_directory:
            self._names[inode.number] = {}
        self._change((self._place(change.first), inode.number))

    def _create(self, change: Change) -> None:
        self._make(change, Inode(len(self._inodes), change.mode))

    def _mkdir(self, change: Change) -> None:
        self._make(change, Inode(len(self._inodes), change.mode, is_directory=True))

    def _symlink(self, change: Change) -> None:
        self._make(change, Inode(len(self._inodes), target=change.second))

    def _rename(self, change: Change) -> None:
        self._change(
            (self._place(change.first), None), (self._place(change.second), self._find(change.first))
        )

    def _exchange(self, change: Change) -> None:
        first, second = self._find(change.first), self._find(change.second)
        self._change((self._place(change.first), second), (self._place(change.second), first))

    def _link(self, change: Change) -> None:
        self._change((self._place(change.second), self._find(change.first)))

    def _unlink(self, change: Change) -> None:
        self._change((self._place(change.first), None))

    # Contents and modes

    def _write(self, change: Change) -> None:
        self._inodes[self._by_number[change.inode]].write(change.offset, change.data)

    def _truncate(self, change: Change) -> None:
        self._inodes[self._by_number[change.inode]].resize(change.offset)

    def _mode(self, change: Change) -> None:
        if change.inode in self._by_number:
            self._note(Pending(mode=(self._by_number[change.inode], change.mode)))

    # Syncs and notes

    def _sync(self, change: Change) -> None:
        found = self._by_number.get(change.inode, 0)  # 0: the root itself
        inode = self._inodes[found]
        inode.sync()
        reached = self._way_to(found)
        self._settle(
            pending
            for pending in self._pending
            if pending.concerns(reached)
            or (inode.is_directory and any(directory == found for directory, _, _ in pending.names))
        )

    def _sync_all(self, change: Change) -> None:
        top = self._find(change.first.split("/")[0])
        below = set(self._below(top))
        for number in below:
            self._inodes[number].sync()
        self._settle(
            pending
            for pending in self._pending
            if pending.concerns(below) or any(directory in below for directory, _, _ in pending.names)
        )

    def _settle(self, settled: Iterable[Pending]) -> None:
        """Those are safe now, and what they rely on: the order of changes to one name stays."""
        done = list(settled)
        names = {place[:2] for pending in done for place in pending.names}
        known = set(map(id, done))
        for pending in self._pending:
            if id(pending) not in known and any(place[:2] in names for place in pending.names):
                known.add(id(pending))
        left = []
        for pending in self._pending:
            if id(pending) in known:
                pending.apply(self._safe_names, self._safe_modes)
            else:
                left.append(pending)
        self._pending = left

    def _way_to(self, inode: int) -> set[int]:
        """The inode and the directories by which it is reached."""
        above = {
            number: directory for directory, entries in self._names.items() for number in entries.values()
        }
        way = {inode}
        while inode in above:
            inode = above[inode]
            way.add(inode)
        return way

    def _below(self, inode: int) -> Iterator[int]:
        yield inode
        for number in self._names.get(inode, {}).values():
            yield from self._below(number)

    def _take_note(self, change: Change) -> None:
        word, _, path = change.first.partition(" ")
        path, _, known = path.partition(" ")
        match word:
            case "promised":
                self.promised[path] = known or self.promised.get(path, "")
                self.damaged.discard(path)
            case "replaced" if path in self.promised:
                self.promised[path] = ""
            case "damaged":
                self.damaged.add(path)
            case "gone":
                self.promised.pop(path, None)
                self.damaged.discard(path)
            case "rebuilding" | "rebuilt":
                self.rebuilds = word == "rebuilding"

    # What a power cut leaves

    def disk(self, choice: Choice, chance: random.Random) -> Disk:
        """One of the disks that there could be if the power went now."""
        names = {directory: dict(entries) for directory, entries in self._safe_names.items()}
        modes = dict(self._safe_modes)
        for pending in self._chosen(choice, chance):
            self._move_directories(pending, names)
            pending.apply(names, modes)
        disk = Disk()
        self._fill(disk, "", 0, names, lambda inode: self._contents(inode, choice, chance), modes)
        return disk

    def _move_directories(self, pending: Pending, names: Names) -> None:
        """A directory has one name: where a renaming is kept, those that came before it are, too."""
        moved = {inode for _, _, inode in pending.names if inode and self._inodes[inode].is_directory}
        for entries in names.values() if moved else ():
            for name in [name for name, inode in entries.items() if inode in moved]:
                del entries[name]

    def _chosen(self, choice: Choice, chance: random.Random) -> list[Pending]:
        match choice:
            case Choice.NOTHING:
                return []
            case Choice.ALL | Choice.LOG | Choice.FILES:
                return self._pending
            case Choice.ORDERED:
                return self._pending[: chance.randint(0, len(self._pending))]
            case Choice.FREE:
                if chance.random() < 0.5:  # the last ones alone
                    return self._pending[-chance.randint(1, 6) :]
                likely = chance.choice([0.1, 0.5, 0.9])
                return [pending for pending in self._pending if chance.random() < likely]

    def _contents(self, inode: Inode, choice: Choice, chance: random.Random) -> bytes:
        if choice not in VARIED:
            is_there = {
                Choice.NOTHING: False,
                Choice.ALL: True,
                Choice.LOG: self._is_log(inode),
                Choice.FILES: not self._is_log(inode),
            }
            return inode.there if is_there[choice] else inode.safe
        match chance.randrange(4):
            case 0:
                return inode.safe
            case 1:
                return inode.there
            case 2:  # all up to some write
                return _after(inode, inode.pending[: chance.randint(0, len(inode.pending))])
            case _:
                return _after(inode, _torn(inode.pending, chance))

    def _is_log(self, inode: Inode) -> bool:
        return any(
            number == inode.number and name.endswith("-wal")
            for entries in self._names.values()
            for name, number in entries.items()
        )

    def _fill(
        self,
        disk: Disk,
        path: str,
        number: int,
        names: Names,
        contents: Callable[[Inode], bytes],
        modes: dict[int, int],
    ) -> None:
        for name, child in names.get(number, {}).items():
            inode, short = self._inodes[child], f"{path}/{name}" if path else name
            mode = modes.get(child, inode.mode)
            if inode.is_directory:
                disk.directories[short] = child, mode
                self._fill(disk, short, child, names, contents, modes)
            elif inode.target is not None:
                disk.links[short] = inode.target
            else:
                disk.files[short] = child, mode
                if child not in disk.contents:
                    disk.contents[child] = contents(inode)


@dataclass(slots=True)
class Disk:
    """Files and directories by their names: numbers and modes; files of one number are one file."""

    directories: dict[str, tuple[int, int]] = field(default_factory=dict)
    files: dict[str, tuple[int, int]] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    contents: dict[int, bytes] = field(default_factory=dict)

    def restore(self, root: str) -> None:
        """Make `root` hold exactly that."""
        shutil.rmtree(root, ignore_errors=True)
        os.makedirs(root)
        for name in self.directories:
            os.mkdir(f"{root}/{name}")
        first: dict[int, str] = {}
        for name, (number, mode) in self.files.items():
            path = f"{root}/{name}"
            if number in first:
                os.link(first[number], path)
                continue
            first[number] = path
            with open(path, "wb") as file:
                file.write(self.contents[number])
            os.chmod(path, mode)
        for name, target in self.links.items():
            os.symlink(target, f"{root}/{name}")
        for name, (_, mode) in reversed(self.directories.items()):
            os.chmod(f"{root}/{name}", mode)


def _written(data: bytes, offset: int, new: bytes) -> bytes:
    return data[:offset].ljust(offset, b"\0") + new + data[offset + len(new) :]


def _resized(data: bytes, size: int) -> bytes:
    return data[:size].ljust(size, b"\0")


def _after(inode: Inode, pending: Iterable[tuple[int, bytes | None]]) -> bytes:
    data = inode.safe
    for offset, new in pending:
        data = _resized(data, offset) if new is None else _written(data, offset, new)
    return data


def _torn(
    pending: Iterable[tuple[int, bytes | None]], chance: random.Random
) -> Iterator[tuple[int, bytes | None]]:
    """Some of the writes, and of these some of their pages."""
    for offset, data in pending:
        if data is None or len(data) <= PAGE:
            if chance.random() < 0.5:
                yield offset, data
            continue
        for start in range(0, len(data), PAGE):
            if chance.random() < 0.7:
                yield offset + start, data[start : start + PAGE]


_TAKEN = {
    What.CREATE: Machine._create,
    What.WRITE: Machine._write,
    What.TRUNCATE: Machine._truncate,
    What.RENAME: Machine._rename,
    What.EXCHANGE: Machine._exchange,
    What.LINK: Machine._link,
    What.UNLINK: Machine._unlink,
    What.MKDIR: Machine._mkdir,
    What.RMDIR: Machine._unlink,
    What.SYMLINK: Machine._symlink,
    What.MODE: Machine._mode,
    What.SYNC: Machine._sync,
    What.SYNC_ALL: Machine._sync_all,
    What.NOTE: Machine._take_note,
}
