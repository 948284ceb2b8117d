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
from waiting import PATIENCE, line_with, until

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
        made += "name=name, version='1', build_system='trivial', "
        made += "arguments={'script': script}, inputs=list(inputs))\n"
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


WHEN_TOLD = "until [ -e go ]; do sleep 0.1; done; echo x > $out"
DRAINS = "drain-on-stop = true"


def tell_the_builder() -> None:
    """Put a file into the build directory."""
    (directory,) = Path("/frx/var/fruix/builds").glob("frx-*/build")
    (directory / "go").touch()


def draining(daemon: Daemon, number: signal.Signals) -> None:
    daemon.process.send_signal(number)
    assert daemon.process.stderr is not None
    line_with(daemon.process.stderr, "draining: builds that run go on")


@pytest.mark.parametrize(
    ("daemon", "number"),
    [(DRAINS, signal.SIGTERM), (DRAINS, signal.SIGINT), ("", signal.SIGUSR2)],
    indirect=["daemon"],
)
def test_a_daemon_that_drains_finishes_what_runs(daemon: Daemon, number: signal.Signals) -> None:
    runs = daemon.build("runs", WHEN_TOLD)
    daemon.wait_for(runs="running")
    waits = daemon.build("waits", SHORT, SHORT)
    daemon.wait_for(runs="running", waits="queued")
    draining(daemon, number)
    for client in (waits, daemon.build("late", SHORT)):
        _, said = client.communicate(timeout=PATIENCE)
        assert client.returncode == 100
        assert "not begun, since the daemon is ending: ask again when it has been started anew" in said
    assert daemon.rows() == {"runs-1": "running"}
    tell_the_builder()
    printed, said = runs.communicate(timeout=PATIENCE)
    assert runs.returncode == 0, said
    assert Path(printed.strip()).read_text() == "x\n"
    assert daemon.process.wait(PATIENCE) == 0


@pytest.mark.parametrize("daemon", [DRAINS], indirect=True)
def test_a_second_signal_ends_at_once(daemon: Daemon) -> None:
    runs = daemon.build("endless", ENDLESS)
    daemon.wait_for(endless="running")
    draining(daemon, signal.SIGTERM)
    assert daemon.rows() == {"endless-1": "running"}
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.process.wait(PATIENCE) == 0
    assert "the daemon is shutting down" in runs.communicate(timeout=PATIENCE)[1]


def test_without_the_setting_the_first_signal_ends_it(daemon: Daemon) -> None:
    runs = daemon.build("endless", ENDLESS)
    daemon.wait_for(endless="running")
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.process.wait(PATIENCE) == 0
    assert "the daemon is shutting down" in runs.communicate(timeout=PATIENCE)[1]
