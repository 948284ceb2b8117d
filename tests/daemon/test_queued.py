"""Builds that wait for the one slot of a real daemon: their clients leave, or the daemon ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from machine import private_frx
from waiting import PATIENCE, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="machine: the daemon runs as root")

COMMAND = [sys.executable, "-m", "fruix"]
ENVIRONMENT = {
    name: value for name, value in os.environ.items() if not name.startswith(("FRUIX_", "NIX_", "METADATA"))
}


class Daemon:
    """A daemon with one slot, its clients, and files by which its builders can be let go on."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.process = subprocess.Popen(
            [*COMMAND, "daemon"], env=ENVIRONMENT, stderr=subprocess.PIPE, text=True
        )
        self.clients: list[subprocess.Popen[str]] = []

    def build(self, name: str, script: str, needs: str = "") -> subprocess.Popen[str]:
        """A client that asks for a package, and for one that needs it if there is a script for that too."""
        made = "def made(name, script, *inputs):\n    return Package("
        made += "name=name, version='1', build_system='trivial', arguments={'script': script}, inputs=list(inputs))\n"
        package = f"made({name!r}, {script!r})"
        if needs:
            package = f"made('above-{name}', {needs!r}, {package})"
        file = self.directory / f"{name}.py"
        file.write_text(f"{made}packages = [{package}]\n")
        client = subprocess.Popen(
            [*COMMAND, "build", "-f", str(file)],
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.clients.append(client)
        return client

    def rows(self) -> dict[str, str]:
        """What `fruix ps` shows: states by name."""
        done = subprocess.run(
            [*COMMAND, "ps", "--json"], env=ENVIRONMENT, capture_output=True, text=True, check=True
        )
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        return {row["name"]: row["state"] for row in rows}

    def wait_for(self, **states: str) -> None:
        wanted = {f"{name}-1": state for name, state in states.items()}
        until(lambda: self.rows() == wanted, f"builds {wanted}")


@pytest.fixture
def daemon(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Daemon]:
    with private_frx():
        os.makedirs("/frx/etc")
        Path("/frx/etc/fruix.toml").write_text(f"max-jobs = 1\n{getattr(request, 'param', '')}\n")
        made = Daemon(tmp_path)
        try:
            subprocess.run([*COMMAND, "daemon", "--ping", "--wait", "60"], env=ENVIRONMENT, check=True)
            yield made
        finally:
            for client in made.clients:
                client.kill()
                client.communicate()
            made.process.send_signal(signal.SIGTERM)
            made.process.send_signal(signal.SIGTERM)
            made.process.communicate()
        assert [name for name in os.listdir("/frx/var/fruix/builds") if name.startswith("frx-")] == []


ENDLESS = "while :; do sleep 0.2; done"
SHORT = "echo x > $out"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_client_that_is_interrupted_takes_its_queued_build_with_it(
    daemon: Daemon, number: signal.Signals
) -> None:
    daemon.build("endless", ENDLESS)
    daemon.wait_for(endless="running")
    waits = daemon.build("waits", SHORT, SHORT)
    daemon.wait_for(endless="running", waits="queued")
    waits.send_signal(number)
    waits.communicate(timeout=PATIENCE)
    assert daemon.rows() == {"endless-1": "running"}
