"""The daemons that are measured: how each is started on a store of its own, in one private mount namespace.

All run as root below `/frx` (a directory of this run's, see `run`), with two jobs of one core, no
substitutes, and real sandboxes with build users. Nix and Guix come out of Debian's packages: 2.8.0
as `nix-daemon` of the host, the newer ones unpacked into folders by `scripts/peers`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from unavailable import Paths
from wire import Client, DaemonError

GROUP = "frxbench"
# Fruix, as an installation has it.
PROGRAM = (sys.executable, "-IS", os.path.join(os.path.dirname(os.path.abspath(__file__)), "installed.py"))
BARE = "bare"
# What `bare_daemon.py`, `bare_commands.py` and `bare_builds.py` know.
BARE_ROWS = {
    "build", "builds",
    "startup", "connect", "memory", "nothing", "nothings", "texts", "closure", "valid", "info",
    "add-tree", "dump-tree", "add-file", "dump-file", "first-line", "interrupt", "log", "plan",
    "million-start", "million-info", "million-text",
}  # fmt: skip
_PATIENCE = 30.0
_NIX_CONF = f"""sandbox = true
sandbox-paths =
sandbox-fallback = false
build-users-group = {GROUP}
substituters =
max-jobs = 2
cores = 1
"""


@dataclass
class Daemon:
    """A daemon that is measured, with a store of its own.

    Attributes:
        database: its database of valid paths.
        acl: where it reads an access control list in Guix's form.
        configuration: a file of settings that `deduplicate_on_request` adds to.
    """

    name: str
    dialect: str
    base: str
    store: str
    socket: str
    command: list[str]
    environment: Mapping[str, str]
    database: str
    acl: str
    configuration: str = ""
    process: subprocess.Popen[bytes] | None = None
    paths: Paths = field(default_factory=Paths)

    def deduplicate_on_request(self) -> None:
        """Have it, from the next start on, deduplicate only what it is asked to, as nix-daemon does."""
        if self.dialect == "guix":
            self.command.append("--disable-deduplication")
        elif self.configuration:
            with open(self.configuration, "a", encoding="ascii") as file:
                file.write('deduplication = "none"\n')

    def start(self) -> float:
        """Start it; seconds from the start of the program to the first finished greeting."""
        begun = time.perf_counter()
        log = open(f"{self.base}/daemon.log", "ab")  # noqa: SIM115 - the child's
        self.process = subprocess.Popen(
            self.command,
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        log.close()
        while True:
            try:
                self.client().close()
                return time.perf_counter() - begun
            except (OSError, DaemonError):
                if self.process.poll() is not None or time.perf_counter() - begun > _PATIENCE:
                    raise SystemExit(f"{self.name} does not start: see {self.base}/daemon.log") from None
                time.sleep(0.0005)

    def stop(self) -> None:
        """End it and wait until it has ended."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait()
            self.process = None
            if os.path.exists(self.socket):
                os.unlink(self.socket)

    def client(self) -> Client:
        """A new connection, after its greeting."""
        return Client(self.dialect, self.socket)

    def processes(self) -> list[int]:
        """The process numbers of the daemon and of all its descendants; some may be ending."""
        assert self.process is not None
        found = [self.process.pid]
        for pid in found:
            with (
                suppress(OSError),
                open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file,
            ):
                found += [int(child) for child in file.read().split()]
        return found

    def memory(self) -> float:
        """The proportional set size of all its processes, MiB."""
        total = 0
        for pid in self.processes():
            with suppress(OSError), open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
                total += sum(int(line.split()[1]) for line in file if line.startswith("Pss:"))
        return total / 1024


def _fruix(root: str) -> Daemon:
    base = f"{root}/fruix"
    os.makedirs(base)
    configuration = f"{base}/fruix.toml"
    with open(configuration, "w", encoding="ascii") as file:
        file.write(f'max-jobs = 2\ncores = 1\nacl-file = "{base}/acl"\n')
        file.write("max-connections = 2048\nmax-connections-per-user = 2048\n")
    environment = {
        "FRUIX_STORE_DIR": f"{base}/store", "FRUIX_STATE_DIR": f"{base}/var",
        "FRUIX_LOG_DIR": f"{base}/log", "FRUIX_CONF": configuration,
    }  # fmt: skip
    socket = f"{base}/var/daemon-socket/socket"
    command = [*PROGRAM, "daemon"]
    database = f"{base}/var/db/db.sqlite"
    return Daemon(
        "fruix",
        "nix",
        base,
        f"{base}/store",
        socket,
        command,
        environment,
        database,
        f"{base}/acl",
        configuration,
    )


def _bare(root: str) -> Daemon:
    base = f"{root}/{BARE}"
    os.makedirs(base)
    program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bare_daemon.py")
    command = [sys.executable, "-I", "-S", program, base]
    database = f"{base}/db.sqlite"
    daemon = Daemon(BARE, "nix", base, f"{base}/store", f"{base}/socket", command, {}, database, "")
    built = [f"{base}/store/{number:032}-built.drv" for number in range(100)]
    daemon.paths.update(built=built[0], many=" ".join(built))
    return daemon


def _nix(title: str, program: str) -> Callable[[str], Daemon]:
    def make(root: str) -> Daemon:
        base = f"{root}/{title}"
        # Without a state directory that it can write to, it would take itself for a client of the
        # socket: its own.
        for name in ("store", "var", "log", "conf"):
            os.makedirs(f"{base}/{name}")
        with open(f"{base}/conf/nix.conf", "w", encoding="ascii") as file:
            file.write(_NIX_CONF)
        environment = {
            "NIX_STORE_DIR": f"{base}/store", "NIX_STATE_DIR": f"{base}/var", "NIX_LOG_DIR": f"{base}/log",
            "NIX_CONF_DIR": f"{base}/conf", "NIX_DAEMON_SOCKET_PATH": f"{base}/socket",
        }  # fmt: skip
        return Daemon(
            title, "nix", base, f"{base}/store", f"{base}/socket", [program], environment,
            f"{base}/var/db/db.sqlite", "",
        )  # fmt: skip

    return make


def _guix(title: str, program: str) -> Callable[[str], Daemon]:
    def make(root: str) -> Daemon:
        base = f"{root}/{title}"
        for name in ("store", "conf"):
            os.makedirs(f"{base}/{name}")
        environment = {
            "NIX_STORE_DIR": f"{base}/store", "GUIX_STATE_DIRECTORY": f"{base}/var",
            "GUIX_DATABASE_DIRECTORY": f"{base}/db",
            "GUIX_LOG_DIRECTORY": f"{base}/log", "GUIX_CONFIGURATION_DIRECTORY": f"{base}/conf",
            "GUIX": f"{program.removesuffix('/usr/bin/guix-daemon')}/client",
        }  # fmt: skip
        command = [
            program, f"--build-users-group={GROUP}", "-M", "2", "-c", "1", "--no-substitutes", "--no-offload",
            f"--listen={base}/socket",
        ]  # fmt: skip
        return Daemon(
            title, "guix", base, f"{base}/store", f"{base}/socket", command, environment,
            f"{base}/db/db.sqlite", f"{base}/conf/acl",
        )  # fmt: skip

    return make


def available(prefixes: str) -> dict[str, Callable[[str], Daemon]]:
    """The daemons that can be started here, by name.

    `prefixes` is where `scripts/peers` unpacked the newer ones.
    """
    makers: dict[str, Callable[[str], Daemon]] = {"fruix": _fruix}
    for name, program, make in (
        ("nix-2.34", f"{prefixes}/nix/usr/bin/nix-daemon", _nix),
        ("nix-2.8", "/usr/bin/nix-daemon", _nix),
        ("guix-1.5", f"{prefixes}/guix/usr/bin/guix-daemon", _guix),
    ):
        if os.path.exists(program):
            makers[name] = make(name, program)
    return makers | {BARE: _bare}
