"""Commands of Nix's own clients against nix-daemon and against Fruix: same results, texts and statuses.

Each client against the daemon of its own version, and against Fruix as `fruix nix-daemon` with the same
`nix.conf`. What differs on purpose is in `differences`; anything else is an error.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from clients.guix.tools import busybox_tools
from clients.nix.differences import compared
from clients.nix.peers import CLIENTS, ENVIRONMENT, ROOT, programs
from golden_data import GOLDEN
from machine import private_frx
from waiting import until

HERE = Path(__file__).parent
SOCKET = Path(ENVIRONMENT["NIX_REMOTE"].removeprefix("unix://"))
FEATURES = "nix-command ca-derivations"
CONFIG = f"experimental-features = {FEATURES}\nsubstituters =\n"
PLAIN = (
    "build-users-group =\nsandbox = true\nsandbox-paths =\nsandbox-fallback = false\n"
    "cores = 1\nmax-jobs = 1\nkeep-derivations = true\n"
)
OPTIONS = f"""{PLAIN}
sandbox-paths = /given=/frx/work/given /nowhere?
trusted-users = root
allowed-users = root nobody
system-features = special
extra-platforms = other-system
secret-key-files = /frx/work/nix-test-1.secret
post-build-hook = /frx/work/after
pre-build-hook = /frx/work/before
extra-experimental-features = configurable-impure-env
impure-env = SHOWN=told
auto-optimise-store = true
keep-outputs = true
keep-derivations = false
log-lines = 2
max-build-log-size = 1000
unheard-of = 1
"""
# Lists of commands, and the `nix.conf` of the daemon that they talk to.
LISTS = {"verbs.sh": PLAIN, "options.sh": OPTIONS}
# Settings are those of the newest: older daemons know fewer, and tell less of them.
RUNS = [*((client, "verbs.sh") for client in CLIENTS), ("newest", "options.sh")]
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="machine: the system's daemon is root's")


@contextmanager
def daemon(kind: str, client: str = "newest", configuration: str = PLAIN) -> Iterator[None]:
    """Fruix ("fruix"), or the daemon that belongs to a client ("nix")."""
    Path("/frx/etc/nix").mkdir(parents=True)
    Path("/frx/etc/nix/nix.conf").write_text(CONFIG + configuration)
    os.makedirs("/frx/tmp", mode=0o700)
    environment = {**ENVIRONMENT, "NIX_DAEMON_SOCKET_PATH": str(SOCKET), "TMPDIR": "/frx/tmp"}
    del environment["NIX_REMOTE"], environment["NIX_CONFIG"]
    words = [f"{programs(client)}/nix-daemon"]
    if kind == "fruix":
        words = [sys.executable, "-m", "fruix", "nix-daemon"]
        environment["PYTHONPATH"] = str(ROOT / "src")
    with (
        open("/frx/nix-daemon.log", "ab") as log,
        subprocess.Popen(words, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log) as process,
    ):
        try:
            until(lambda: SOCKET.exists() or process.poll() is not None, f"{kind} listens")
            assert process.poll() is None, Path("/frx/nix-daemon.log").read_text()
            yield
        finally:
            process.terminate()


@contextmanager
def place() -> Iterator[Path]:
    """An empty store; the directory of its client's, with what the lists of commands need."""
    with private_frx():
        for directory in ("/frx/store", "/frx/home", "/frx/work/tools"):
            os.makedirs(directory)
        work = Path("/frx/work")
        busybox_tools(work / "tools")
        yield work


def transcript(kind: str, client: str, commands: str, configuration: str) -> str:
    """What all the commands of a list print with one of the daemons."""
    with place() as work:
        shutil.copy(HERE / "same.nix", work)
        shutil.copy("/bin/bash-static", work / "tools/bin/bash")
        for key in ("secret", "public"):
            shutil.copy(GOLDEN / f"keys/nix-test-1.{key}", work)
        (work / "nix-test-1.secret").chmod(0o400)
        with daemon(kind, client, configuration):
            return subprocess.run(
                ["sh", HERE / commands, programs(client), work, client],
                env={
                    **ENVIRONMENT,
                    "NIX_CONF_DIR": "/frx/home",
                    "NIX_CONFIG": CONFIG,
                    "LC_ALL": "C.UTF-8",
                },
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                check=False,
            ).stdout


@pytest.mark.parametrize(("client", "commands"), RUNS)
def test_nix_and_fruix_say_the_same(client: str, commands: str) -> None:
    nix, fruix = (transcript(kind, client, commands, LISTS[commands]) for kind in ("nix", "fruix"))
    assert nix.count("\nstatus 0\n") > 20
    assert compared(nix, fruix, client) == ""


def test_only_the_order_of_what_is_done_side_by_side_is_left_out() -> None:
    copies = (
        "$ nix copy\ncopying 2 paths...\ncopying path 'a' to 'c'...\ncopying path 'b' to 'c'...\nstatus 0\n"
    )
    swapped = (
        "$ nix copy\ncopying 2 paths...\ncopying path 'b' to 'c'...\ncopying path 'a' to 'c'...\nstatus 0\n"
    )
    assert compared(copies, swapped, "newest") == ""
    assert compared(copies, swapped.replace("'a'", "'b'"), "newest") != ""
    assert compared("a\nb\n", "b\na\n", "newest") != ""
