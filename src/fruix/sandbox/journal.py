"""The journal: what a build is about to make that could outlive the daemon, written down before it is made.

One JSON file per build, named like its sandbox, in a directory that only the daemon's user may
enter; removed as the very last thing, so that after a crash the next start knows what to look for
(see `recover`), and takes nothing for a left-over that no note names. Not synced to disk: what a
power cut leaves (no process, no mount, no cgroup) is directories, and those are found by their
names. Files of notes are used again, empty: ext4 looks, for each new file, past all that were deleted
in the last minute.

A note is read as if anybody had written it: what is not of the right form in it counts as not there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Self

from fruix.dataclass import asdict, dataclass, field
from fruix.late import late_pattern
from fruix.sandbox.back_ends import current
from fruix.sandbox.spec import NAME

_SUFFIX = ".json"
_SPARE = "-spare"  # ends the name of the directory with empty files
_MOST_SPARE = 4
_OLD = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = _OLD | os.O_CREAT | os.O_EXCL
_OUTPUT = late_pattern(r"[0-9A-Za-z+\-_?=][0-9A-Za-z+\-._?=]{0,254}")


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """What was noted about one build.

    Attributes:
        name: its sandbox's.
        uid: the user that it runs as; 0: not known.
        outputs: base names of the store paths that it may make.
        drv: base name of what is built; empty: nothing that has a log.
        kind: whether that is a build or a download.
        check: whether it is built again, to compare.
        marks: what of it the system knows by a name, as its back end says (`BackEnd.marks`).
    """

    name: str
    uid: int = 0
    outputs: tuple[str, ...] = ()
    marks: Mapping[str, str] = field(default_factory=dict)
    drv: str = ""
    kind: str = ""
    check: bool = False

    @classmethod
    def of(cls, name: str, uid: int, outputs: Iterable[str] = ()) -> Self:
        """Make the entry of a build that is about to begin on this machine."""
        return cls(name, uid, tuple(outputs), current().marks(name))

    @classmethod
    def parse(cls, name: str, data: bytes) -> Self:
        """Read a note; a field that is not of the right form counts as missing."""
        try:
            fields = json.loads(data)
        except (ValueError, RecursionError):
            return cls(name)
        if not isinstance(fields, dict):
            return cls(name)
        uid, outputs, marks = fields.get("uid"), fields.get("outputs"), fields.get("marks")
        drv, kind = fields.get("drv"), fields.get("kind")
        return cls(
            name,
            uid if type(uid) is int and 0 < uid < 1 << 32 else 0,
            tuple(one for one in _list(outputs) if isinstance(one, str) and _OUTPUT.fullmatch(one)),
            {key: one for key, one in marks.items() if isinstance(one, str)}
            if isinstance(marks, dict)
            else {},
            drv if isinstance(drv, str) and _OUTPUT.fullmatch(drv) else "",
            kind if isinstance(kind, str) else "",
            fields.get("check") is True,
        )

    def to_bytes(self) -> bytes:
        """The note as JSON, with the daemon's process number for human readers."""
        return json.dumps({**asdict(self), "daemon": os.getpid()}).encode()


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


class Journal:
    """The notes of one daemon, in a directory of their own."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._spare: list[str] = []  # empty files
        self._free = [f"{directory}{_SPARE}/{number}" for number in range(_MOST_SPARE)]  # names for more

    def write(self, entry: JournalEntry) -> None:
        """Note what a build is about to make."""
        path = self._path(entry.name)
        descriptor = self._open(path)
        try:
            try:
                _write(descriptor, entry.to_bytes())
            finally:
                os.close(descriptor)
        except BaseException as error:
            os.unlink(path)
            if isinstance(error, OSError):
                error.filename = path
            raise

    def left_over(self) -> list[JournalEntry]:
        """Entries of builds that a daemon did not live to finish.

        A half-written one counts by its name alone.

        A file that is not named like a note is none, and stays.
        """
        try:
            names = sorted(os.listdir(self._directory))
        except FileNotFoundError:
            return []
        sandboxes = [name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX)]
        return [
            JournalEntry.parse(name, _read(self._path(name))) for name in sandboxes if NAME.fullmatch(name)
        ]

    def forget(self, name: str) -> None:
        """Remove an entry once everything that it noted is gone."""
        path = self._path(name)
        os.truncate(path, 0)
        if not self._keep(path):
            os.unlink(path)

    def _keep(self, path: str) -> bool:
        """Whether the empty file has become a spare one."""
        try:
            spare = self._free.pop()
        except IndexError:  # there are enough
            return False
        try:
            try:
                os.rename(path, spare)
            except FileNotFoundError:
                os.mkdir(os.path.dirname(spare), 0o700)
                os.rename(path, spare)
        except OSError:
            self._free.append(spare)
            return False
        self._spare.append(spare)
        return True

    def _open(self, path: str) -> int:
        """A new file, empty: one that has been a note before, if there is one."""
        if self._spare:
            with suppress(IndexError, FileNotFoundError):  # another thread, or another daemon, was quicker
                spare = self._spare.pop()
                self._free.append(spare)
                os.rename(spare, path)
                try:
                    return os.open(path, _OLD)
                except OSError:  # no descriptors left
                    os.unlink(path)
                    raise
        try:
            return os.open(path, _NEW, 0o600)
        except FileNotFoundError:
            os.makedirs(self._directory, mode=0o700, exist_ok=True)
            return os.open(path, _NEW, 0o600)

    def _path(self, name: str) -> str:
        return f"{self._directory}/{name}{_SUFFIX}"


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
