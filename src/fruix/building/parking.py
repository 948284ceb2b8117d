"""Has the spawner keep a sandbox ready for the next build (see `sandbox.linux.parked`).

A build that has taken one asks for the next when its builder has ended; else it is asked when a build has
been answered. By then the daemon is busy with one processor, so nobody waits for it. Asked for earlier it
would be made while a short builder ends, and take the processor on which that end is to be told. What that
makes (a control group) is noted in the journal from the first time to `close`: after a crash the next start
removes it. The directory on which roots are mounted, where only those sandboxes see it, is empty.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Collection, Iterator

from fruix import failpoints
from fruix.building.crashed import PARKED
from fruix.errors import SandboxError
from fruix.sandbox import Journal, JournalEntry, Spawner, back_end
from fruix.sandbox.spawner.client import ParkingHandle
from fruix.sandbox.spawner.ipc import ParkRequest

PREFIX = "frx-parked-"


def of_running_daemons(builds: str) -> Collection[str]:
    """Names that belong to daemons that run: not left over. For tests."""
    directory, found = f"{builds}/journal", set()
    for file in os.listdir(directory) if os.path.isdir(directory) else ():
        if file.startswith(PREFIX):
            with contextlib.suppress(OSError, ValueError), open(f"{directory}/{file}", "rb") as note:
                os.kill(json.load(note)["daemon"], 0)
                found.add(file.removesuffix(".json"))
    return found


class NextSandbox:
    """What one build has done for the next. Used by one thread at a time."""

    def __init__(self, parking: Parking) -> None:
        self._parking = parking
        self._asked = False

    def prepare_early(self) -> None:
        """Have a sandbox ready again, now that this build's own has ended."""
        if not self._asked:
            self._asked = self._parking.ask(first=False)

    def prepare(self) -> None:
        """Have one ready when this build has been answered, unless that was asked for before.

        Raises:
            OSError: it can't be noted, or the spawner can't be asked.
        """
        failpoints.reach("park-ask")
        if not self._asked:
            self._parking.ask(first=True)


class Parking:
    """Thread-safe."""

    def __init__(self, spawner: Spawner, journal: Journal, builds: str, identity: str) -> None:
        """Begin nothing yet.

        Args:
            spawner: who is asked.
            journal: where it is noted.
            builds: the directory of build directories.
            identity: of the store (`Database.identity`).
        """
        self._spawner, self._journal, self._builds = spawner, journal, builds
        self._name = f"{PREFIX}{identity[:8]}-{os.urandom(3).hex()}"
        self._lock = threading.Lock()
        self._builds_here = 0
        self._handle: ParkingHandle | None = None
        self._closed = False

    @contextlib.contextmanager
    def build(self) -> Iterator[NextSandbox]:
        """One build, from its beginning until it has been tidied up."""
        with self._lock:
            self._builds_here += 1
        try:
            yield NextSandbox(self)
        finally:
            with self._lock:
                self._builds_here -= 1

    def ask(self, *, first: bool) -> bool:
        """Have a sandbox ready, if none is; returns at once: whether that was asked for.

        Not beside another build: where the processors are busy it would only cost.

        Args:
            first: also if none has been asked for so far.

        Raises:
            OSError: it can't be noted, or the spawner can't be asked.
        """
        with self._lock:
            if self._closed or self._builds_here > 1 or not back_end().parks:
                return False
            if self._handle is None and not first:
                return False
            request = ParkRequest(self._name, f"{self._builds}/{PARKED}", failpoints.text())
            if self._handle is None:
                self._handle = self._begin(request)
            else:
                self._handle.prepare(request)
            return True

    def _begin(self, request: ParkRequest) -> ParkingHandle:
        self._journal.write(JournalEntry.of(self._name, 0))
        try:
            os.makedirs(request.root, 0o700, exist_ok=True)
            return self._spawner.park(request)
        except OSError:
            self._forget()
            raise

    def close(self) -> None:
        """End what stands ready, when no build runs any more. What can't be ended stays noted."""
        with self._lock:
            self._closed = True
            handle, self._handle = self._handle, None
            if handle is not None:
                with contextlib.suppress(SandboxError):
                    handle.finish()
                    self._forget()

    def _forget(self) -> None:
        with contextlib.suppress(OSError):
            os.rmdir(f"{self._builds}/{PARKED}")
        with contextlib.suppress(FileNotFoundError):
            self._journal.forget(self._name)
