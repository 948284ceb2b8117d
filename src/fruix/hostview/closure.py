"""Gathering what a view must show so that its tools work, and nothing more.

These are links on the way, interpreters and shared libraries.

Everything is kept in its canonical place, and every link on the way to it is kept as a link: `cc`
is found by the same steps inside as on the host. Work lists instead of recursion; each file is
looked into once.
"""

from __future__ import annotations

import os
import stat
import struct
from collections import deque
from collections.abc import Iterable

from fruix.dataclass import dataclass, field
from fruix.errors import HostViewError
from fruix.hostview.lookups import Found, Host
from fruix.hostview.parts import FoundPart
from fruix.model.elf import ElfFile, parse_elf

_SHEBANG_SIZE = 256
_HINTS_HEADER = struct.Struct("=6I")
_HINTS_MAGIC, _HINTS_VERSION = 0x746E6845, 1
_HINTS_LIMIT = 1 << 16


@dataclass(frozen=True, slots=True)
class _Task:
    """A file whose interpreter and libraries are still to be found.

    `need` names who fails without its libraries; None: nobody, they may be missing.
    """

    path: str
    need: str | None
    search: tuple[str, ...] = ()


@dataclass(slots=True)
class Gathered:
    """What is to be shown, in canonical places.

    Attributes:
        links: path → text.
        trees: directories shown whole.
        parts: place → files and links below it that belong to parts of packages; they are among the
            others, or in trees of `partial`.
        partial: the trees that hold nothing but such.
    """

    host: Host
    links: dict[str, str] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)
    trees: list[str] = field(default_factory=list)
    parts: dict[str, set[str]] = field(default_factory=dict)
    partial: set[str] = field(default_factory=set)
    _tasks: deque[_Task] = field(default_factory=deque)
    _looked_into: set[str] = field(default_factory=set)
    _elves: dict[str, ElfFile | None] = field(default_factory=dict)
    _places: tuple[str, ...] = ()

    def add_tree(self, path: str) -> bool:
        """Show a directory whole; False if there is none. To be called before the others."""
        found = self.host.find(path)
        if found is None or not found.is_directory:
            return False
        self._add_links(found)
        if not self._covered(found.path):
            self.trees = [tree for tree in self.trees if not is_in(tree, found.path)] + [found.path]
        return True

    def add_part(self, place: str, found: FoundPart) -> None:
        """Show what a part of packages has in one place.

        To be called after the trees and before the files.
        """
        if self._covered(place):
            return
        self.parts.setdefault(place, set()).update(found.leaves)
        for tree in found.trees:
            if not self._covered(tree):
                self.trees = [other for other in self.trees if not is_in(other, tree)] + [tree]
                self.partial.add(tree)
        for path in found.entries:
            self._add_entry(path)

    def _add_entry(self, path: str) -> None:
        """A file or link of a part, shown by itself."""
        status = self.host.status(path)
        if status is None or self._covered(path):
            return
        if stat.S_ISLNK(status.st_mode):
            self.links[path] = self.host.link_text(path)
        else:
            self.files.add(path)
        self._look_at(path, status)

    def add_file(self, path: str, need: str | None = None, search: tuple[str, ...] = ()) -> bool:
        """Show a file, the way to it, and what it needs; False if it leads to no file."""
        found = self.host.find(path)
        if found is None or not found.is_file:
            return False
        self._add_links(found)
        if not self._covered(found.path):
            self.files.add(found.path)
        self._tasks.append(_Task(found.path, need, search))
        return True

    def add_way(self, path: str) -> None:
        """Show the links that lead to a directory, such as /bin → usr/bin."""
        found = self.host.find(path)
        if found is not None and found.is_directory:
            self._add_links(found)

    def close(self, libraries: Iterable[str]) -> None:
        """Add what is needed by all that is there, and by what that adds, until nothing is missing.

        Args:
            libraries: patterns of the directories in which the loader looks by itself.

        Raises:
            HostViewError: something that a required tool needs isn't there.
        """
        self._places = tuple(place for pattern in libraries for place in self.host.matches(pattern))
        for tree in self.trees:
            self._look_through(tree)
        while self._tasks:
            task = self._tasks.popleft()
            if task.path not in self._looked_into:
                self._looked_into.add(task.path)
                self._look_into(task)
        # A tree that was added later may hold what was added before.
        self.links = {path: text for path, text in self.links.items() if not self._covered(path)}
        self.files = {path for path in self.files if not self._covered(path)}

    def _add_links(self, found: Found) -> None:
        self.links |= {path: text for path, text in found.links.items() if not self._covered(path)}

    def _covered(self, path: str) -> bool:
        return any(is_in(path, tree) for tree in self.trees)

    def _look_through(self, tree: str) -> None:
        """Programs and libraries in a tree need libraries too; its links may lead to files outside of it."""
        for path, status in self.host.walk(tree):
            self._look_at(path, status)

    def _look_at(self, path: str, status: os.stat_result) -> None:
        """Something that nobody asked for by name: what it needs may be missing."""
        if stat.S_ISLNK(status.st_mode):
            self.add_file(path)
        elif stat.S_ISREG(status.st_mode) and (status.st_mode & 0o111 or ".so" in path.rpartition("/")[2]):
            self._tasks.append(_Task(path, None))

    def _look_into(self, task: _Task) -> None:
        elf = self._elf(task.path)
        if elf is None:
            interpreter = _shebang(task.path)
            if interpreter:
                self._add_needed(interpreter, task, "interpreter", [interpreter], task.search)
            return
        search = tuple(dict.fromkeys((*elf.search_from(task.path), *task.search)))
        if elf.interpreter:
            self._add_needed(elf.interpreter, task, "loader", [elf.interpreter], search)
        for name in elf.needed:
            places = [name] if "/" in name else [f"{place}/{name}" for place in (*search, *self._places)]
            fitting = (place for place in places if self._fits(place, elf))
            self._add_needed(name, task, "shared library", fitting, search)

    def _add_needed(
        self, name: str, task: _Task, kind: str, candidates: Iterable[str], search: tuple[str, ...]
    ) -> None:
        if any(self.add_file(place, task.need, search) for place in candidates) or task.need is None:
            return
        places = f"; looked in {', '.join(self._places)}" if kind == "shared library" else ""
        raise HostViewError(
            f"the tool '{task.need}' needs the {kind} {name}, which is not there{places}", where=task.path
        )

    def _fits(self, place: str, elf: ElfFile) -> bool:
        """Whether a library is of the machine for which it is wanted."""
        found = self.host.find(place)
        if found is None or not found.is_file:
            return False
        library = self._elf(found.path)
        return library is not None and (library.bits, library.machine) == (elf.bits, elf.machine)

    def _elf(self, path: str) -> ElfFile | None:
        if path not in self._elves:
            self._elves[path] = read_elf(path)
        return self._elves[path]


def is_in(path: str, directory: str) -> bool:
    """Whether `path` is the directory itself or something in it."""
    return path == directory or path.startswith(directory.rstrip("/") + "/")


def read_elf(path: str) -> ElfFile | None:
    """Read the file; None if it can't be read or is no regular ELF file of a kind that is understood."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        return parse_elf(lambda size, offset: os.pread(descriptor, size, offset))
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _shebang(path: str) -> str:
    """The interpreter of a script, or nothing."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return ""
    with open(descriptor, "rb", buffering=0) as file:
        line = file.read(_SHEBANG_SIZE).partition(b"\n")[0]
    words = line[2:].split() if line.startswith(b"#!") else []
    return os.fsdecode(words[0]) if words and words[0].startswith(b"/") else ""


def hinted_directories(path: str) -> tuple[str, ...]:
    """The directories in which FreeBSD's loader looks besides its built-in ones, in its order.

    They are read from the file that ldconfig(8) keeps for it; none if it is missing or of another kind.

    Layout (elf-hints.h): seven words of 32 bits in the machine's order, of which the first is the
    magic number, the second the version, the third and fifth where the strings begin and the list
    in them, the sixth its length; the list is separated by colons.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(_HINTS_LIMIT)
    except OSError:
        return ()
    if len(data) < _HINTS_HEADER.size:
        return ()
    magic, version, strings, _size, start, length = _HINTS_HEADER.unpack_from(data)
    if (magic, version) != (_HINTS_MAGIC, _HINTS_VERSION):
        return ()
    names = data[strings + start : strings + start + length].split(b":")
    return tuple(os.fsdecode(name) for name in names if name.startswith(b"/"))
