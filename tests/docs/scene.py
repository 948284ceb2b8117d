"""Where the commands of documents run: a private /frx with a daemon, and a shell for each document.

`scenes/common.sh` is read by each shell first, then the document's own: `scenes/README.sh`,
`scenes/seeing.sh`. They make the files and functions that the document speaks of and does not show.
"""

from __future__ import annotations

import os
import secrets
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from docs.documents import ROOT
from fruix.store import Layout
from machine import left_over, private_frx
from network_rig import private_network
from rooted import rooted_frx
from waiting import read_until

SCENES = Path(__file__).parent / "scenes"
PATIENCE = 900.0  # seconds; no command of a document takes that long, and none is expected to be faster
# The home directories that documents speak of.
HOMES = {"docs/packages.md": "/home/ada"}
# Documents that speak of a server: they have a network without anybody else.
ALONE = frozenset({"docs/packages.md"})
# Those whose commands build in roots.
ROOTED = frozenset({"README.md", "docs/packages.md"})
_OURS = ("FRUIX_", "NIX_", "GUIX_", "METADATA")


@contextmanager
def machine(name: str, temporary: pytest.TempPathFactory) -> Iterator[None]:
    """An empty /frx, or one with roots, with a daemon; afterwards nothing of a build may be left."""
    frx = rooted_frx(temporary) if name in ROOTED else private_frx()
    with frx, private_network() if name in ALONE else nullcontext():
        shell = Shell(Path("/frx"), "")
        try:
            shell.run("start_daemon")
            yield
        finally:
            shell.run("stop_daemon")
            shell.close()
        found = left_over(Layout())
        assert found == [], f"{name} left {found}"


class Shell:
    """A shell in a directory of its own, with `fruix` among its commands.

    Variables and functions last from one command to the next.
    """

    def __init__(self, directory: Path, document: str) -> None:
        self.home = str(directory)
        self.shown_home = HOMES.get(document, self.home)
        environment = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        if sources := os.environ.get("FRUIX_SOURCES"):
            environment["FRUIX_SOURCES"] = sources
        self._process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=directory,
            env={**environment, "HOME": self.home, "PYTHON": sys.executable, "ROOT": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for script in ("common", Path(document).stem):
            if script and (file := SCENES / f"{script}.sh").exists():
                printed, status = self.run(f". {shlex.quote(str(file))}")
                assert status == 0, f"{file}: status {status}: {printed}"

    def run(self, command: str) -> tuple[str, int]:
        """What a command prints, errors included, and its status.

        Raises:
            AssertionError: it doesn't end, or it ends the shell.
        """
        end = secrets.token_hex(16)
        words = f"{{ eval {shlex.quote(command)}; }} </dev/null 2>&1; printf '%s %d.' {end} $?\n"
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(words.encode())
        self._process.stdin.flush()
        descriptor = self._process.stdout.fileno()
        printed = read_until(descriptor, f"{end} ".encode(), PATIENCE).decode(errors="replace")
        printed = printed.replace("\r\n", "\n").replace(self.home, self.shown_home)
        status = read_until(descriptor, b".", PATIENCE).decode()
        return printed.removesuffix(f"{end} "), int(status[:-1])

    def close(self) -> None:
        """End the shell."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
