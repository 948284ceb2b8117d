"""The journal: what a build is about to make that could outlive the daemon, written down before it is made.

One JSON file per build, named like its sandbox, in a directory that only root may enter; removed as the very last thing, so that after a
crash the next start knows what to look for (see `recover`). Not synced to disk: what a power cut leaves (no process, no mount, no
cgroup) is directories, and those are found by their names.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

_SUFFIX = ".json"


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """What was noted about one build."""

    name: str
    fields: dict[str, Any]


class Journal:
    """Entries in a directory."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def write(self, name: str, **fields: Any) -> None:
        """Note what a build is about to make."""
        os.makedirs(self._directory, mode=0o700, exist_ok=True)
        path = f"{self._directory}/{name}{_SUFFIX}"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(json.dumps({"name": name, "daemon": os.getpid(), **fields}))
        except BaseException as error:
            os.unlink(path)
            if isinstance(error, OSError):
                error.filename = path
            raise

    def left_over(self) -> list[JournalEntry]:
        """Entries of builds that a daemon did not live to finish. A half-written one counts by its name alone."""
        try:
            names = sorted(os.listdir(self._directory))
        except FileNotFoundError:
            return []
        return [
            JournalEntry(name.removesuffix(_SUFFIX), _read(f"{self._directory}/{name}"))
            for name in names
            if name.endswith(_SUFFIX)
        ]

    def forget(self, name: str) -> None:
        """Remove an entry once everything that it noted is gone."""
        os.unlink(f"{self._directory}/{name}{_SUFFIX}")


def _read(path: str) -> dict[str, Any]:
    try:
        with open(path, encoding="ascii") as file:
            return dict(json.load(file))
    except ValueError:
        return {}
