"""A store, state and log directory of their own, and the real daemon on them.

The daemon runs in a process that can be killed.

The directory lies where only root can write all the way up, as the daemon demands; it is deleted at
the end, by descriptor.
"""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack

import fruix
from fruix.client import RemoteStore, connect
from fruix.dataclass import dataclass, field
from fruix.errors import FruixError, UnreachableError, UsageError
from fruix.failpoints import VARIABLE
from fruix.store.layout import Layout
from fruix.store.tree.delete import delete_tree
from fruix.testing.traces import traces

# Where a scratch directory may be made: the first that is there and safe.
PARENTS = ("/var/db", "/var/lib", "/var", "/root")
START_PATIENCE = 300.0  # seconds for a daemon to answer
STOP_PATIENCE = 300.0  # and to end
_POLL = 0.02
MEMORY = 400 << 20  # bytes that a build may have: more than compiling takes, less than small machines have
# The module that is run as `fruix`: the double of another system's calls puts its own here.
program = "fruix"
# What daemons get of the caller's environment: what Python needs, and no setting that could change
# the outcome.
KEPT = ["PATH", "PYTHONDONTWRITEBYTECODE"]
# Where they find modules.
MODULES = [os.path.dirname(os.path.dirname(os.path.abspath(fruix.__file__)))]
_ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


@dataclass(slots=True)
class Daemon:
    """A daemon process. `output` is what it says, a file."""

    process: subprocess.Popen[bytes]
    output: str

    def stop(self) -> int:
        """End it as a service manager does; returns its status.

        Raises:
            subprocess.TimeoutExpired: it did not end; it is killed.
        """
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        """End it as a crash does."""
        self.process.kill()
        self.process.wait()

    def said(self) -> str:
        """Its last words, on one line."""
        with open(self.output, encoding="utf-8", errors="replace") as file:
            return " | ".join(file.read().splitlines()[-5:])


@dataclass(slots=True)
class Scratch:
    """The directories, and who runs on them."""

    base: str
    layout: Layout
    environment: dict[str, str]
    daemon: Daemon | None = None
    _started: int = field(default=0)

    def start(self, *, fault: str = "") -> None:
        """Start a daemon, with a fault armed (see `failpoints`), and wait until it answers.

        Raises:
            FruixError: it ended, or never answered; with what it said.
        """
        self._started += 1
        output = f"{self.base}/daemon-{self._started}.log"
        with _later(), open(output, "wb") as log:
            process = subprocess.Popen(
                [sys.executable, *(["-S"] if sys.flags.no_site else []), "-m", program, "daemon"],
                env={**self.environment, VARIABLE: fault},
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
            self.daemon = Daemon(process, output)
        deadline = time.monotonic() + START_PATIENCE
        while True:
            try:
                self.connect().close()
            except UnreachableError as error:
                if process.poll() is None and time.monotonic() < deadline:
                    time.sleep(_POLL)
                    continue
                said = self.daemon.said()
                self.crash()
                raise FruixError(f"the daemon does not answer: {error}; it said: {said}") from error
            return

    def configure(self, more: str = "") -> None:
        """Write the settings that the next daemon has: the usual ones, and `more` lines."""
        with open(f"{self.base}/fruix.toml", "w", encoding="ascii") as file:
            file.write(f"max-jobs = 2\nmax-memory = {MEMORY}\n{more}")

    def connect(self) -> RemoteStore:
        """Connect to the daemon; the caller closes the connection."""
        return connect(self.layout.socket, self.layout.store)

    def stop(self) -> int:
        """End the daemon, if one runs; returns its status."""
        if self.daemon is None:
            return 0
        try:
            return self.daemon.stop()
        finally:  # interrupted, it still runs
            if self.daemon.process.poll() is not None:
                self.daemon = None

    def settle(self) -> None:
        """End the daemon.

        What builds of one that was killed have left is undone by another one, in its start.
        """
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.stop()
        if traces(self.layout):
            self.start()
            self.stop()

    def fallen(self) -> None:
        """Wait for the end of a daemon that a fault kills.

        Raises:
            FruixError: it lives on.
        """
        if self.daemon is None:
            return
        try:
            self.daemon.process.wait(START_PATIENCE)
        except subprocess.TimeoutExpired:
            raise FruixError("the fault didn't end the daemon") from None

    def crash(self) -> None:
        """Kill the daemon by SIGKILL, as a crash would end it."""
        if self.daemon is not None:
            self.daemon.kill()
            self.daemon = None


@contextlib.contextmanager
def scratch() -> Iterator[Scratch]:
    """The directories of a self-test, for as long as it runs.

    However it ends, a daemon that still runs is ended, and what builds left is undone.

    Signals that would end this process are heard before and after, not while something is made or taken away.
    """
    parent = _parent()
    with ExitStack() as ending:
        with _later():
            base = tempfile.mkdtemp(prefix="fruix-selftest-", dir=parent)
            layout = Layout(f"{base}/store", f"{base}/state", f"{base}/log")
            here = Scratch(base, layout, _environment(layout, base))
            ending.callback(_take_away, parent, here)
            os.chmod(base, 0o755)  # noqa: S103 - peers of the socket must get in, as into /frx
            here.configure()
        yield here


def _take_away(parent: str, here: Scratch) -> None:
    with _later():
        try:
            here.settle()
        finally:
            descriptor = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                delete_tree(descriptor, os.fsencode(os.path.basename(here.base)))
            finally:
                os.close(descriptor)


@contextlib.contextmanager
def _later() -> Iterator[None]:
    """Signals that would end this process are heard at the end of this.

    Children that are started meanwhile don't inherit that.
    """
    heard: list[int] = []
    before = {number: signal.signal(number, lambda received, _: heard.append(received)) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        for received in dict.fromkeys(heard):
            signal.raise_signal(received)


def _parent() -> str:
    for path in PARENTS:
        if os.path.realpath(path) == path and os.path.isdir(path) and not _exposed(path):
            return path
    raise UsageError(f"none of {', '.join(PARENTS)} is a directory that only root can write")


def _exposed(path: str) -> bool:
    parts = path.split("/")
    parents = ["/".join(parts[: count + 1]) or "/" for count in range(len(parts))]
    return any(os.stat(parent).st_mode & stat.S_IWOTH for parent in parents)


def _environment(layout: Layout, base: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join(MODULES),
        "FRUIX_STORE_DIR": layout.store,
        "FRUIX_STATE_DIR": layout.state,
        "FRUIX_LOG_DIR": layout.log,
        "FRUIX_CONF": f"{base}/fruix.toml",
        "CANARY": "seen from outside",
    }
