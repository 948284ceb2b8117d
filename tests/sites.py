"""Stores with daemons of their own beside each other on one private /frx.

Their builds go on until they are told to end.
"""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from crashing import connected, exit_of, start_daemon
from fruix.building.settings import FIRST_BUILD_UID
from fruix.client import RemoteStore
from fruix.errors import FruixError
from fruix.model.build_options import BuildOptions
from fruix.model.buildresult import BuildResult
from fruix.model.derivedpath import ALL, DerivedPath
from fruix.model.events import Event, LogLine
from fruix.model.storepath import StorePath
from fruix.sandbox.back_ends import current
from fruix.store import Layout
from machine import Machine
from waiting import PATIENCE

OTHER_UID = 36001
# Ends well when it is told to, and not before.
WAITS = "trap 'echo x > $out; exit 0' USR1; echo running; while :; do sleep 0.05; done"


@dataclass
class Site:
    """A store of its own, and whoever serves it."""

    name: str
    settings: str = ""
    daemon: int = 0
    shell: StorePath | None = None
    layout: Layout = field(init=False)

    def __post_init__(self) -> None:
        base = f"/frx/{self.name}"
        self.layout = Layout(f"{base}/store", f"{base}/state", f"{base}/log")

    def start(self, fault: str = "") -> None:
        conf = Path(f"/frx/{self.name}.toml")
        conf.write_text(f"max-jobs = 2\n{self.settings}")
        variables = {
            "FRUIX_STORE_DIR": self.layout.store,
            "FRUIX_STATE_DIR": self.layout.state,
            "FRUIX_LOG_DIR": self.layout.log,
            "FRUIX_CONF": str(conf),
        }
        self.daemon = start_daemon(fault, environment=variables)
        self.connect().close()

    def connect(self) -> RemoteStore:
        return connected(self.daemon, self.layout)

    def end(self, number: int = signal.SIGTERM) -> None:
        os.kill(self.daemon, number)
        assert exit_of(self.daemon) == (-signal.SIGKILL if number == signal.SIGKILL else 0)

    def build(self, name: str, scratch: Path) -> Build:
        """Begin a build that waits to be told; returns when its builder runs."""
        store = self.connect()
        here = Machine(store, None)  # type: ignore[arg-type]
        self.shell = self.shell or here.shell(scratch / self.name)
        build = Build(store, here.derivation(name, f": {name}.\n{WAITS}", self.shell))
        build.thread.start()
        assert build.running.wait(PATIENCE)
        return build


@dataclass
class Build:
    """One that a thread asked for."""

    store: RemoteStore
    drv: StorePath
    running: threading.Event = field(default_factory=threading.Event)
    results: list[BuildResult] = field(default_factory=list)
    thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self._build)

    def _build(self) -> None:
        def on_event(event: Event) -> None:
            if isinstance(event, LogLine):
                self.running.set()

        try:
            found = self.store.build([DerivedPath(self.drv, ALL)], BuildOptions("fruix"), on_event)
            self.results += [result for _, result in found]
        except FruixError:
            return
        finally:
            self.store.close()

    def finish(self) -> BuildResult | None:
        """Tell the builder to end well; what came of it."""
        for pid in current().processes_of(self.uid()):
            with suppress(ProcessLookupError):  # a short one of its own, ended meanwhile
                os.kill(pid, signal.SIGUSR1)
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()
        return self.results[0] if self.results else None

    def uid(self) -> int:
        """Whom its builder runs as."""
        name = f": {self.drv.short_name}.\n".encode()
        users: tuple[int, ...] = (
            *range(FIRST_BUILD_UID, FIRST_BUILD_UID + 4),
            *range(OTHER_UID, OTHER_UID + 4),
        )
        for uid in users:
            if any(name in _command(pid) for pid in current().processes_of(uid)):
                return uid
        raise AssertionError(f"no process of {self.drv.name} lives")


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
