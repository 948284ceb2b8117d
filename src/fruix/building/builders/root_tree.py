"""The tree of a root being made of pieces, and the rules by which they meet (docs/roots.md).

No member is written through a link, since what is above a member is a directory of this tree or an
error. Names are bytes to the kernel, in UTF-8, whatever the daemon's locale is.
"""

from __future__ import annotations

import os
import posixpath
import re
import shutil
import tarfile
from collections.abc import Collection, Iterable, Mapping
from fnmatch import translate
from typing import BinaryIO

from fruix.dataclass import dataclass, field
from fruix.errors import FruixError
from fruix.model.text import printable, to_bytes

MERGED = ("bin", "lib", "lib32", "lib64", "libo32", "libx32", "sbin")
"""Directories of Debian's packages that are links into `usr` in the tree."""
PINS = "the root's links"
_CHUNK = 1 << 18
_MOST_LINKS = 40  # that the kernel follows in one name


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a tree may have: bytes in files, and entries."""

    size: int = 16 << 30
    entries: int = 1 << 18


@dataclass(frozen=True, slots=True)
class Entry:
    """What is at a path, which piece has brought it, and where a link leads."""

    kind: str
    piece: str
    target: str = ""


@dataclass(slots=True)
class Tree:
    """The tree at `out`, an empty directory.

    Attributes:
        merged: whether /usr is: what is in `bin` and the like lands in `usr`.
        only: patterns of paths that are kept; none: all are. After a `!`: of what isn't.
    """

    out: str
    merged: bool
    only: Collection[str] = ()
    bounds: Bounds = field(default_factory=Bounds)
    entries: dict[str, Entry] = field(default_factory=dict)
    size: int = 0
    _own: set[str] = field(default_factory=set)
    _piece: str = ""

    def add(self, piece: str, archive: tarfile.TarFile) -> None:
        """Add all members of a piece.

        Raises:
            FruixError: one breaks a rule; says which, and which other piece it meets.
        """
        self._piece, self._own = piece, set()
        kept = _any_of(pattern for pattern in self.only if not pattern.startswith("!"))
        left_out = _any_of(pattern[1:] for pattern in self.only if pattern.startswith("!"))
        for member in archive:
            path = self._place(member.name)
            if not path or (kept and not kept.match(path)) or (left_out and left_out.match(path)):
                continue
            if not self._is_merge(member):
                self._member(path, member, archive)

    def finish(self, links: Mapping[str, str]) -> None:
        """Make the links that no piece has, and look where all links lead.

        Raises:
            FruixError: one stands where a piece has something, or leads out of the tree.
        """
        self._piece = PINS
        for path, target in links.items():
            self._link(self._place(path), target)
        for name in MERGED if self.merged else ():
            if self.entries.get(f"usr/{name}", _NOTHING).kind == "directory":
                self._link(name, f"usr/{name}")
        for path, entry in self.entries.items():
            if entry.kind == "link" and self._leaves(path, entry.target):
                raise FruixError(
                    f"the link '{printable(path)}' of {entry.piece} leads out of the root: "
                    f"{printable(entry.target)}"
                )

    def _member(self, path: str, member: tarfile.TarInfo, archive: tarfile.TarFile) -> None:
        if member.isdir():
            self._directory(path)
        elif member.issym():
            self._link(path, member.linkname)
        elif member.islnk():
            self._hard_link(path, self._place(member.linkname))
        elif member.isreg() and (data := archive.extractfile(member)):
            self._file(path, member, data)  # type: ignore[arg-type]
        else:
            raise FruixError(
                f"'{printable(path)}' of {self._piece} is a device, a pipe or something else that no root has"
            )

    def _place(self, name: str) -> str:
        """Where a member lands; empty for the top."""
        parts = [part for part in name.split("/") if part not in {"", "."}]
        if name.startswith("/") or ".." in parts:
            raise FruixError(f"'{printable(name)}' of {self._piece} is no path within the root")
        if self.merged and parts and parts[0] in MERGED:
            parts.insert(0, "usr")
        return "/".join(parts)

    def _is_merge(self, member: tarfile.TarInfo) -> bool:
        """Whether it is such a link as is made anyway."""
        name = posixpath.normpath(member.name)
        return (
            self.merged and name in MERGED and member.issym() and member.linkname.strip("/") == f"usr/{name}"
        )

    def _directory(self, path: str) -> None:
        found = self.entries.get(path)
        if found is None:
            self._new(path, Entry("directory", self._piece))
            os.mkdir(self._at(path), 0o755)
        elif found.kind != "directory":
            self._conflict(path, "directory")

    def _link(self, path: str, target: str) -> None:
        if target.startswith("/"):  # from the top of the root
            within = self._place(posixpath.normpath(target).lstrip("/"))
            target = posixpath.relpath(f"/{within}", f"/{posixpath.dirname(path)}")
        entry = Entry("link", self._piece, target)
        found = self.entries.get(path)
        if found is None:
            self._new(path, entry)
            os.symlink(to_bytes(target), self._at(path))
        elif (found.kind, found.target) != ("link", target):
            self._conflict(path, "link")

    def _file(self, path: str, member: tarfile.TarInfo, data: BinaryIO) -> None:
        self.size += member.size
        if self.size > self.bounds.size:
            raise FruixError(f"the root has more than {self.bounds.size} bytes, with {self._piece}")
        executable = bool(member.mode & 0o111)
        if path not in self.entries:
            self._new(path, Entry("file", self._piece))
            _write(self._at(path), data, executable=executable)
        elif self.entries[path].kind != "file" or not _same(self._at(path), data, executable=executable):
            self._conflict(path, "file")
        self._own.add(path)

    def _hard_link(self, path: str, first: str) -> None:
        if first not in self._own:
            raise FruixError(
                f"the hard link '{printable(path)}' of {self._piece} is to '{printable(first)}', "
                "no file that the piece had before it"
            )
        if path not in self.entries:
            self._new(path, Entry("file", self._piece))
            os.link(self._at(first), self._at(path))
        elif self.entries[path].kind != "file" or not self._alike(first, path):
            self._conflict(path, "file")
        self._own.add(path)

    def _new(self, path: str, entry: Entry) -> None:
        if len(self.entries) >= self.bounds.entries:
            raise FruixError(f"the root has more than {self.bounds.entries} entries, with {self._piece}")
        if parent := posixpath.dirname(path):
            self._directory(parent)
        self.entries[path] = entry

    def _conflict(self, path: str, kind: str) -> None:
        found = self.entries[path]
        other = f"another {kind}" if found.kind == kind else f"a {found.kind}"
        raise FruixError(
            f"'{printable(path)}' is a {kind} in {self._piece}, and {other} in {found.piece}",
            hint="a root can't have both: leave one out",
        )

    def _leaves(self, path: str, target: str) -> bool:
        """Whether following a link passes above the top; where other links are on the way, by them."""
        place = path.split("/")[:-1]
        todo, followed = target.split("/")[::-1], 0
        while todo:
            part = todo.pop()
            if part == ".." and not place:
                return True
            if part == "..":
                place.pop()
            elif part not in {"", "."}:
                place.append(part)
                entry = self.entries.get("/".join(place), _NOTHING)
                if entry.kind == "link" and followed < _MOST_LINKS:
                    followed += 1
                    place.pop()
                    todo += entry.target.split("/")[::-1]
        return False

    def _alike(self, first: str, path: str) -> bool:
        with open(self._at(first), "rb") as data:
            return _same(self._at(path), data, executable=bool(os.fstat(data.fileno()).st_mode & 0o100))

    def _at(self, path: str) -> bytes:
        return os.fsencode(self.out) + b"/" + to_bytes(path)


_NOTHING = Entry("nothing", "")


def _write(name: bytes, data: BinaryIO, *, executable: bool) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(name, flags, 0o755 if executable else 0o644), "wb") as file:
        shutil.copyfileobj(data, file, _CHUNK)


def _same(name: bytes, data: BinaryIO, *, executable: bool) -> bool:
    """Whether a file of the tree has these contents, and can be run like that."""
    with open(name, "rb") as file:
        if bool(os.fstat(file.fileno()).st_mode & 0o100) != executable:
            return False
        while chunk := data.read(_CHUNK):
            if file.read(len(chunk)) != chunk:
                return False
        return not file.read(1)


def _any_of(patterns: Iterable[str]) -> re.Pattern[str] | None:
    """What matches a path that one of the patterns matches; nothing for none."""
    together = "|".join(map(translate, patterns))
    return re.compile(together) if together else None
