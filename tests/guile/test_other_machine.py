"""The guix client on Linux, the daemon on FreeBSD (the double of its system calls), TCP between them.

The client sees nothing of the daemon's store.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from crashing import SOCKET
from fruix.client import connect
from fruix.errors import UnreachableError
from guile.guix_client import BIN, ROOT, Guix, client, passed, run
from machine import private_frx
from testing.test_hello_in_a_jail import configuration
from waiting import until

PWGEN = """(use-modules (gnu packages password-utils) (guix packages))
(package
  (inherit pwgen)
  (source (origin (inherit (package-source pwgen))
                  (uri "mirror://debian/pool/main/p/pwgen/pwgen_2.08.orig.tar.gz"))))
"""
# Linux calls itself so in the double too; this one takes builds for the system that it plays.
DOUBLE = """import runpy
from fruix import this_machine
this_machine.local_system = lambda: "x86_64-freebsd"
runpy.run_module("freebsd_double", run_name="__main__", alter_sys=True)
"""


@contextmanager
def freebsd(address: str) -> Iterator[None]:
    """A daemon in the double, with BSD's tools in its view, that listens there and at its socket."""
    os.makedirs("/frx/etc")
    Path("/frx/etc/fruix.toml").write_text(configuration(Path("/frx/bsd/bin")))
    words = [sys.executable, "-S", "-c", DOUBLE, "daemon", "--listen", SOCKET, "--listen", address]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}/src:{ROOT}/tests", **passed()}
    with subprocess.Popen(words, env=environment) as daemon:

        def answers() -> bool:
            assert daemon.poll() is None
            try:
                connect(SOCKET, "/frx/store").close()
            except UnreachableError:
                return False
            return True

        try:
            until(answers, "the daemon")
            yield
        finally:
            daemon.send_signal(signal.SIGTERM)


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_a_package_is_lowered_here_and_built_in_a_jail_there(port: int, tmp_path: Path) -> None:
    (tmp_path / "pwgen.scm").write_text(PWGEN)
    (tmp_path / "nothing").mkdir()
    guix = Guix(tmp_path)
    with private_frx(), freebsd(f"127.0.0.1:{port}"):
        away = [
            "unshare",
            "-m",
            "sh",
            "-c",
            'mount --bind "$0" /frx/store && exec "$@"',
            str(tmp_path / "nothing"),
        ]
        words = [*away, client(), "fruix", "build", "-f", str(tmp_path / "pwgen.scm")]
        environment = {**guix.environment, "GUIX_DAEMON_SOCKET": f"guix://127.0.0.1:{port}"}
        done = run(*words, environment=environment)
        assert done.returncode == 0, done.stdout + done.stderr
        out = done.stdout.strip()
        found = run(f"{BIN}/fruix", "log", "--metadata", out, environment=guix.environment)
        assert found.returncode == 0, found.stderr
        metadata = dict(line.split("=", 1) for line in found.stdout.splitlines())
        shown = run(f"{BIN}/fruix", "show", metadata["drv_path"], environment=guix.environment).stdout
    assert metadata["build_mode"] == "freebsd-jail"
    assert '"system": "x86_64-freebsd"' in shown
    assert metadata["source_store_path"] in metadata["references"].split()
