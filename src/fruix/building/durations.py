"""The latest successful builds of each name, kept between starts.

How long builds usually take, and what was built last.

One append-only file of JSON lines in the state directory, one line per build (about 230 bytes, one
`write`):

    {"kind": "build", "name": "hello-2.12.3", "drv": "/frx/store/…-hello-2.12.3.drv",
     "finished": 1764032405.1, "seconds": 21.4, "phases": {"configure": 9.8}}

Read once, when somebody first asks, into the last `KEPT` of each package (the name without its
version); a file that holds many more lines than that is rewritten then. A line that is no such
object (a crash in the middle of a write) is passed over.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from fruix.atomic_file import atomic_file
from fruix.dataclass import dataclass, field
from fruix.log import Log
from fruix.model.storepath import package_of

log = Log(__name__)

KEPT = 10
# A file is rewritten when it has this many lines more than are kept.
SLACK = 1000


@dataclass(slots=True)
class _Past:
    seconds: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))
    lines: deque[bytes] = field(default_factory=lambda: deque(maxlen=KEPT))
    last: str = ""


def counts(record: Mapping[str, Any]) -> bool:
    """Whether a build tells how long others will take, by its record: it went well, and was no check."""
    return (record["status"], record["purpose"], record["rounds"]) == ("BUILT", "build", 1)


def phase_seconds(phases: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """How long each phase of a record took."""
    return {phase["name"]: phase["seconds"] for phase in phases}


def _median(values: Collection[float]) -> float:
    ordered, middle = sorted(values), len(values) // 2
    return (ordered[middle] + ordered[~middle]) / 2


class History:
    """Thread-safe. One process writes at a time (the holder of the state directory's lock)."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._past: dict[tuple[str, str], _Past] | None = None
        self._room = SLACK  # lines that may be added before the file is rewritten

    def add(self, kind: str, name: str, seconds: float, phases: Mapping[str, float], drv: str = "") -> None:
        """Remember a build that went well."""
        self.write(self.learn(kind, name, seconds, phases, drv))

    def learn(
        self, kind: str, name: str, seconds: float, phases: Mapping[str, float], drv: str = ""
    ) -> bytes:
        """The same for those who ask this process; the line of it that `write` is to be given."""
        entry = {
            "kind": kind,
            "name": name,
            "drv": drv,
            "finished": round(time.time(), 3),
            "seconds": round(seconds, 3),
            "phases": phases,
        }
        line = json.dumps(entry).encode() + b"\n"
        with self._lock:
            # Read first: a file that ends in half a line is put right then.
            _take(self._loaded(), line)
        return line

    def write(self, line: bytes) -> None:
        """Put a line into the file. That it can't be written is no reason to fail a build."""
        with self._lock:
            try:
                if self._room > 0:
                    self._append(line)
                else:
                    self._rewrite()
            except OSError as error:
                log.warning("can't remember how long a build took: %s", error)

    def _append(self, line: bytes) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self._path, flags, 0o600)
        try:
            os.write(descriptor, line)
            self._room -= 1
        finally:
            os.close(descriptor)

    def usual_ms(self, kind: str, name: str) -> int | None:
        """The median duration of the latest builds of that package, in milliseconds.

        None if it was never built here.
        """
        with self._lock:
            past = self._loaded().get((kind, package_of(name)))
            return round(_median(past.seconds) * 1000) if past else None

    def knows(self, kind: str, name: str, drv: str, since: float) -> bool:
        """Whether that derivation was built at `since` (seconds since the epoch) or later."""
        with self._lock:
            past = self._loaded().get((kind, package_of(name)))
            entries = map(json.loads, past.lines if past else ())
            return any(entry.get("drv") == drv and entry["finished"] >= since for entry in entries)

    def last(self, kind: str, name: str) -> str:
        """The derivation (a store path) that was built last for that package, in whatever version.

        Empty if none was, or nobody wrote it down.
        """
        with self._lock:
            past = self._loaded().get((kind, package_of(name)))
            return past.last if past else ""

    def _loaded(self) -> dict[tuple[str, str], _Past]:
        if self._past is None:
            self._past = {}
            count, whole = 0, True
            for line in _lines(self._path):
                _take(self._past, line)
                count, whole = count + 1, line.endswith(b"\n")
            self._room = SLACK + self._kept() - count
            if self._room <= 0 or not whole:
                try:
                    self._rewrite()
                except OSError as error:
                    log.warning("can't rewrite the history of builds: %s", error)
        return self._past

    def _kept(self) -> int:
        assert self._past is not None
        return sum(len(past.lines) for past in self._past.values())

    def _rewrite(self) -> None:
        """What is kept, and nothing else.

        Called once in `SLACK` builds and more, so its cost doesn't matter.
        """
        assert self._past is not None
        with atomic_file(self._path, mode=0o600) as file:
            for past in self._past.values():
                file.writelines(past.lines)
        self._room = SLACK + self._kept()


def _lines(path: str) -> list[bytes]:
    try:
        with open(path, "rb") as file:
            return file.readlines()
    except FileNotFoundError:
        return []


def _take(past: dict[tuple[str, str], _Past], line: bytes) -> None:
    entry: Any = None
    try:
        entry = json.loads(line)
        key = str(entry["kind"]), package_of(str(entry["name"]))
        seconds, drv = float(entry["seconds"]), str(entry.get("drv", ""))
    except (ValueError, TypeError, KeyError, RecursionError):
        return
    kept = past.setdefault(key, _Past())
    kept.seconds.append(seconds)
    kept.last = drv or kept.last
    kept.lines.append(line if line.endswith(b"\n") else line + b"\n")
