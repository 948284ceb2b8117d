"""Looking at the host's file system, and remembering every look.

What was there is remembered with its status, and what was not, too.

The record of all looks is what a later resolution is checked against: if each would see the same
again, the result is the same. Names are resolved here link by link, as inside of the sandbox they
must be found by the same steps.
"""

from __future__ import annotations

import fnmatch
import hashlib
import os
import stat
import struct
from collections import deque
from collections.abc import Iterable, Iterator, Mapping

from fruix.dataclass import dataclass
from fruix.errors import HostViewChangedError

_MOST_LINKS = 40
_PYTHON_CACHE = "__pycache__"
_STATUS = struct.Struct("<7Q")
_ABSENT = b"absent"
# Kinds of looks: a thing's whole status, or only which directory it is (its entries don't matter).
WHOLE, PASSED = "w", "p"
_MARK_SIZE = 8  # bytes: two states of one path are told apart, nothing else

Look = tuple[str, str, str]
"""A path, the kind of look, and a mark of what was seen."""


@dataclass(frozen=True, slots=True)
class Found:
    """Where a name leads: the links on the way (path → text) and the canonical path of what is there."""

    links: Mapping[str, str]
    path: str
    mode: int

    @property
    def is_directory(self) -> bool:
        """Else it's a file, or something that can't be shown."""
        return stat.S_ISDIR(self.mode)

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""
        return stat.S_ISREG(self.mode)


def status_key(status: os.stat_result) -> bytes:
    """What changes if contents could have changed. The change time can't be set by anyone."""
    return _STATUS.pack(
        status.st_mode,
        status.st_dev & 0xFFFFFFFFFFFFFFFF,
        status.st_ino,
        status.st_size,
        status.st_nlink,
        status.st_mtime_ns & 0xFFFFFFFFFFFFFFFF,
        status.st_ctime_ns & 0xFFFFFFFFFFFFFFFF,
    )


class Host:
    """A look at the host; each object is one moment's, as nothing is looked at twice.

    Args:
        hide_caches: Python's directories of compiled files are no part of trees: they are to be shown empty.
    """

    def __init__(self, *, hide_caches: bool = False) -> None:
        self._hide_caches = hide_caches
        self.hidden: set[str] = set()  # those directories, as far as walks have met them
        self._statuses: dict[str, os.stat_result | None] = {}
        self._looks: dict[str, str] = {}
        self._texts: dict[str, str] = {}
        self._names: dict[str, list[str]] = {}
        self.newest = 0  # the latest change time among all that matters whole

    def status(self, path: str, look: str = WHOLE) -> os.stat_result | None:
        """The status of what is there, not of what a link points to; None if there is nothing."""
        if path not in self._statuses:
            self._statuses[path] = _status(path)
        status = self._statuses[path]
        if look == WHOLE or path not in self._looks:
            self._looks[path] = look
        if look == WHOLE and status is not None:
            self.newest = max(self.newest, status.st_ctime_ns)
        return status

    def link_text(self, path: str) -> str:
        """Where a link points.

        Raises:
            HostViewChangedError: it is no link any more.
        """
        if path not in self._texts:
            try:
                self._texts[path] = os.readlink(path)
            except OSError:
                raise gone(path) from None
        return self._texts[path]

    def find(self, path: str) -> Found | None:
        """Resolve an absolute path; None if it leads nowhere or in circles."""
        links: dict[str, str] = {}
        done: list[str] = []
        ahead = deque(path.split("/"))
        mode = stat.S_IFDIR
        followed = 0
        while ahead:
            part = ahead.popleft()
            if part in {"", "."}:
                continue
            if part == "..":
                del done[-1:]
                continue
            here = "/".join(["", *done, part])
            status = self.status(here, PASSED)
            if status is None:
                return None
            mode = status.st_mode
            if not stat.S_ISLNK(mode):
                done.append(part)
                continue
            followed += 1  # not the number of links: a circle has few
            if followed > _MOST_LINKS:
                return None
            text = links[here] = self.link_text(here)
            if text.startswith("/"):
                done = []
            ahead.extendleft(reversed(text.split("/")))
        return self._arrived(links, "/" + "/".join(done), mode)

    def _arrived(self, links: Mapping[str, str], path: str, mode: int) -> Found:
        # A `..` may have led back to a directory after something else was looked at.
        status = self.status(path, PASSED)
        return Found(links, path, mode if status is None else status.st_mode)

    def names(self, directory: str) -> list[str]:
        """Sorted; none if it can't be listed. Its whole status matters from now on."""
        self.status(directory)
        if directory not in self._names:
            try:
                self._names[directory] = sorted(os.listdir(directory))
            except OSError:
                self._names[directory] = []
        return self._names[directory]

    def matches(self, pattern: str) -> list[str]:
        """Paths that match, in order; only parts that have a pattern are listed."""
        paths = [""]
        for part in pattern.strip("/").split("/"):
            if not any(special in part for special in "*?["):
                paths = [f"{path}/{part}" for path in paths]
                continue
            paths = [
                f"{path}/{name}"
                for path in paths
                if (found := self.find(path)) and found.is_directory
                for name in fnmatch.filter(self.names(found.path), part)
            ]
        return [path for path in paths if self.find(path)]

    def walk(self, top: str) -> Iterator[tuple[str, os.stat_result]]:
        """Everything below a canonical directory and the directory itself, parents first.

        What is hidden is left out.

        Python's caches are written by whoever runs Python as root, while a view is resolved or
        after, and say nothing that isn't in the files beside them.
        """
        ahead = [top]
        while ahead:
            path = ahead.pop()
            status = self.status(path)
            if status is None:
                continue
            yield path, status
            if stat.S_ISDIR(status.st_mode):
                hidden = [name for name in self.names(path) if self.hides(path, name)]
                self.hidden.update(f"{path}/{name}" for name in hidden)
                ahead.extend(f"{path}/{name}" for name in reversed(self.names(path)) if name not in hidden)

    def hides(self, directory: str, name: str) -> bool:
        """Whether a directory's entry is one of Python's caches, and those are hidden."""
        if not self._hide_caches or name != _PYTHON_CACHE:
            return False
        status = self.status(f"{directory}/{name}", PASSED)
        return status is not None and stat.S_ISDIR(status.st_mode)

    def looks(self) -> list[Look]:
        """Everything looked at and what was seen, for `changed`."""
        return [(path, look, _mark(look, self._statuses[path])) for path, look in self._looks.items()]


def gone(path: str) -> HostViewChangedError:
    """The error for what was there a moment ago."""
    return HostViewChangedError(
        "went away while the host view was resolved",
        where=path,
        hint="let the upgrade finish, then try again",
    )


def changed(looks: Iterable[Look]) -> Iterator[str]:
    """Look again: the paths at which something else is seen now."""
    return (path for path, look, mark in looks if _mark(look, _status(path)) != mark)


def _mark(look: str, status: os.stat_result | None) -> str:
    return hashlib.blake2b(_look_key(look, status), digest_size=_MARK_SIZE).hexdigest()


def _look_key(look: str, status: os.stat_result | None) -> bytes:
    if status is None:
        return _ABSENT
    if look == PASSED and stat.S_ISDIR(status.st_mode):
        return b"directory %d %d;" % (status.st_dev, status.st_ino)
    return status_key(status)


def _status(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None
