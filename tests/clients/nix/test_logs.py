"""Nix's clients find the logs of builds, and add those of builds elsewhere."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from clients.nix.peers import CLIENTS, expression, run
from crashing import connected, exit_of, start_daemon
from fruix.building.record.log_reading import bare_name, find_log
from fruix.model.storepath import StorePath
from fruix.store.layout import Layout
from machine import private_frx

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="machine: the system's daemon is root's")
LAYOUT = Layout()
SAID = "one line\nand the end"


@pytest.fixture(scope="module", autouse=True)
def nix_daemon() -> Iterator[None]:
    with private_frx():
        daemon = start_daemon()
        connected(daemon).close()
        yield
        os.kill(daemon, signal.SIGTERM)
        exit_of(daemon)


@pytest.fixture(scope="module")
def drv(tmp_path_factory: pytest.TempPathFactory) -> str:
    directory = tmp_path_factory.mktemp("definitions")
    file = expression(directory, f"printf '{SAID.replace(chr(10), chr(92) + 'n')}'; echo x > $out")
    drv = run("newest", "nix-instantiate", file).stdout.strip()
    run("newest", "nix-store", "--realise", drv)
    return drv


@pytest.mark.parametrize("compression", ["bzip2", "none"])
@pytest.mark.parametrize("client", CLIENTS)
def test_logs_are_found(client: str, compression: str, drv: str) -> None:
    """As they are packed by default, and as a build that runs (or has crashed) leaves them."""
    file = find_log(LAYOUT.log_file(StorePath.parse(drv, LAYOUT.store)))
    assert file is not None
    assert file.endswith(".drv.bz2")
    if compression == "none":
        Path(bare_name(file)).write_text("so far")
    try:
        expected = SAID if compression == "bzip2" else "so far"
        assert run(client, "nix-store", "--read-log", drv).stdout == expected
        assert run(client, "nix-store", "-l", drv).stdout == expected
        assert run(client, "nix", "log", drv).stdout == expected
    finally:
        Path(bare_name(file)).unlink(missing_ok=True)


def test_a_log_that_is_added_is_found(drv: str, tmp_path: Path) -> None:
    log = find_log(LAYOUT.log_file(StorePath.parse(drv, LAYOUT.store)))
    assert log is not None
    elsewhere = f"file://{tmp_path}/cache"
    run("newest", "nix", "copy", "--derivation", "--to", elsewhere, drv)
    run("newest", "nix", "store", "copy-log", "--to", elsewhere, drv)
    os.unlink(log)
    assert "is not available" in run("newest", "nix", "log", drv, status=1).stderr
    run("newest", "nix", "store", "copy-log", "--from", elsewhere, drv)
    for client in CLIENTS:
        assert run(client, "nix-store", "-l", drv).stdout == SAID


@pytest.mark.parametrize("client", CLIENTS)
def test_a_failure_names_no_command_of_others(client: str, tmp_path: Path) -> None:
    file = expression(tmp_path, "echo now run fruix log; exit 3", name=f"bad{CLIENTS.index(client)}")
    said = run(client, "nix-build", file, "--no-out-link", status=1).stderr
    assert "> now run fruix log" in said
    assert re.search(r"For full logs, run:\n *nix-store -l /frx/store/\S+\.drv\n", said)
    assert "fruix" not in said.replace("now run fruix log", "")
