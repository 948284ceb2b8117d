"""Several daemons on one machine, each with a store of its own: none of them ends, or even sees, what another one builds.

Real daemons (forked, with the command's own `main`) on one private /frx; their builders share the machine's build users and the control group.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from crashing import PATIENCE, clear_away, connected, exit_of, start_daemon
from fruix.building.settings import FIRST_BUILD_UID, BuildOptions
from fruix.client import RemoteStore
from fruix.errors import FruixError
from fruix.model.buildresult import BuildResult
from fruix.model.derivedpath import ALL, DerivedPath
from fruix.model.events import Event, LogLine
from fruix.model.storepath import StorePath
from fruix.sandbox.platform import current
from fruix.store import Layout
from machine import Machine, private_frx

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="machine: the daemons run as root"),
    pytest.mark.usefixtures("either_back_end"),
]

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
            os.kill(pid, signal.SIGUSR1)
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()
        return self.results[0] if self.results else None

    def uid(self) -> int:
        """Whom its builder runs as."""
        name = f": {self.drv.name.removesuffix('.drv')}.\n".encode()
        users: tuple[int, ...] = (
            *range(FIRST_BUILD_UID, FIRST_BUILD_UID + 4),
            *range(OTHER_UID, OTHER_UID + 4),
        )
        for uid in users:
            if any(name in _command(pid) for pid in current().processes_of(uid)):
                return uid
        raise AssertionError(f"no process of {self.drv.name} lives")


OTHER_UID = 36001


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@pytest.fixture(autouse=True)
def frx() -> Iterator[None]:
    with private_frx():
        try:
            yield
        finally:
            clear_away()


@pytest.mark.parametrize("settings", ["", f"first-build-uid = {OTHER_UID}"], ids=["same uids", "other uids"])
def test_a_build_survives_start_recovery_and_end_of_another_daemon(tmp_path: Path, settings: str) -> None:
    one, other = Site("one"), Site("other", settings)
    other.start()
    crashed = other.build("crashes", tmp_path)
    uid = crashed.uid()
    other.end(signal.SIGKILL)
    crashed.thread.join(PATIENCE)
    _wait_until_gone(uid)
    one.start()
    build = one.build("survives", tmp_path)
    assert build.uid() == FIRST_BUILD_UID  # the one that the other's journal names, if they share numbers
    assert os.listdir(f"{other.layout.builds}/journal") != []
    other.start()
    assert os.listdir(f"{other.layout.builds}/journal") == []
    beside = other.build("beside", tmp_path)
    assert beside.uid() != build.uid()
    other.end()
    other.start()
    again = other.build("crashes-again", tmp_path)
    other.end(signal.SIGKILL)
    again.thread.join(PATIENCE)
    other.start()
    other.end()
    result = build.finish()
    assert result is not None
    assert result.success, result.message
    one.end()


def _wait_until_gone(uid: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while current().processes_of(uid):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_names_of_sandboxes_tell_of_the_store(tmp_path: Path) -> None:
    one, other = Site("one"), Site("other")
    stores = []
    for site in (one, other):
        site.start()
        build = site.build("named", tmp_path)
        (name,) = (name for name in os.listdir(site.layout.builds) if name.startswith("frx-"))
        stores.append(name.split("-")[2])
        assert build.finish() is not None
        site.end()
    assert len(set(stores)) == 2
    one.start()
    build = one.build("named-again", tmp_path)
    (name,) = (name for name in os.listdir(one.layout.builds) if name.startswith("frx-"))
    assert name.split("-")[2] == stores[0]
    assert build.finish() is not None
    one.end()
