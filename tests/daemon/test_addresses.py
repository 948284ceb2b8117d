"""Several addresses, TCP among them; who comes over TCP is nobody."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from daemon.asking import Client
from daemon.serving import running
from fruix.client import connect
from fruix.daemon.addresses import DEFAULT_PORT, host_and_port, listen_at
from fruix.daemon.peers import REMOTE, Access, credentials
from fruix.errors import FruixError, UsageError
from fruix.model.buildresult import BuildMode
from fruix.model.derivedpath import DerivedPath
from fruix.model.storepath import StorePath
from fruix.protocol.messages import Failure, Last
from fruix.protocol.wire import Dialect
from machine import private_frx
from waiting import until


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("localhost", ("localhost", DEFAULT_PORT)),
        ("localhost:1", ("localhost", 1)),
        ("127.0.0.1:0", ("127.0.0.1", 0)),
        ("[::1]:65535", ("::1", 65535)),
        ("[::1]", ("::1", DEFAULT_PORT)),
        ("::1", ("::1", DEFAULT_PORT)),
    ],
)
def test_hosts_and_ports(address: str, expected: tuple[str, int]) -> None:
    assert host_and_port(address) == expected


@pytest.mark.parametrize("address", ["localhost:", "localhost:65536", "localhost:-1", "localhost:x", "h:²"])
def test_no_ports(address: str) -> None:
    with pytest.raises(UsageError, match="no port"):
        host_and_port(address)


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[Client]:
    with running(tmp_path) as daemon, ExitStack() as closing:
        (listener,) = listen_at(closing, ["127.0.0.1:0"])
        stream = closing.enter_context(socket.create_connection(listener.getsockname()))
        stream.settimeout(60)
        daemon.server.serve(listener.accept()[0])
        guix = Client(stream, Dialect.GUIX, 0x64, daemon.store.directory)
        assert guix.greet() == [Last()]
        yield guix


def refused(client: Client, number: int, *values: object) -> str:
    said, _ = client.call(number, *values)
    assert isinstance(said[-1], Failure)
    assert client.source.at_end()
    return said[-1].message


def test_a_remote_client_adds_and_asks_but_collects_nothing(remote: Client) -> None:
    said, path = remote.call(8, "name", b"text", ())
    assert said == [Last()]
    assert remote.call(1, path) == ([Last()], True)
    assert refused(remote, 20, 2, (), False, 1 << 63) == "Garbage collection is disabled for remote hosts."


def test_a_remote_client_is_not_trusted(remote: Client) -> None:
    drv = StorePath.of(remote.context.directory, f"{'b' * 32}-x.drv")
    assert (
        refused(remote, 9, (DerivedPath(drv, None),), BuildMode.REPAIR)
        == "repairing is a privileged operation"
    )


def test_nobody_knows_who_comes_over_tcp() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname()) as client:
            assert credentials(client) == REMOTE
        assert not Access(["*"], ["*", "root", str(REMOTE.uid)], ()).admit(REMOTE)


@pytest.mark.skipif(os.geteuid() != 0, reason="machine: the daemon runs as root")
def test_guix_daemon_at_several_addresses(tmp_path: Path) -> None:
    names = {"FRUIX_STORE_DIR": "store", "GUIX_STATE_DIRECTORY": "state", "GUIX_LOG_DIRECTORY": "log"}
    (tmp_path / "x.toml").write_text("cores = 1\n")
    with private_frx():
        environment = {
            "PATH": os.environ["PATH"],
            "FRUIX_CONF": str(tmp_path / "x.toml"),
            **{variable: f"/frx/{name}" for variable, name in names.items()},
        }
        sockets = ["/frx/one", "/frx/two"]
        options = ["--no-substitutes", "--disable-chroot", "-c", "7", "--listen=127.0.0.1:0"]
        options += [f"--listen={path}" for path in sockets]
        log = tmp_path / "log"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", "fruix", "guix-daemon", *options],
                env=environment,
                stderr=stream,
            )
        try:
            until(lambda: "ready: " in log.read_text() or process.poll() is not None, "ready")
            for path in sockets:
                with connect(path, "/frx/store") as store:
                    assert store.is_valid(store.add_text("a", b"b"))
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        finally:
            process.kill()
            process.wait()
        assert not any(map(os.path.exists, sockets))
        assert os.path.isdir("/frx/state/db")
        said = log.read_text()
    assert "option '--disable-chroot' has no effect: builds always run in a sandbox" in said
    assert "listening at 127.0.0.1:0: whoever reaches that port" in said
    assert re.search("ready: .*, socket 127.0.0.1:0, /frx/one, /frx/two", said)


def test_a_taken_port_is_an_error() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        ExitStack() as closing,
        pytest.raises((OSError, FruixError)),
    ):
        listen_at(closing, [f"127.0.0.1:{server.getsockname()[1]}"])
