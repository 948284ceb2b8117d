"""The daemon as a process: start, signals, activation, a second one, embedded ones; nothing is fake."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fruix.client import RemoteStore, connect
from fruix.daemon.embedded import embedded_store
from fruix.daemon.listening import StateLock
from fruix.errors import FruixError, UnreachableError
from fruix.store import Layout, LocalStore
from machine import OTHER_USERS, private_frx
from seen_processes import children_of

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="machine: the daemon runs as root")

PATIENCE = 60


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    names = {"FRUIX_STORE_DIR": "store", "FRUIX_STATE_DIR": "state", "FRUIX_LOG_DIR": "log"}
    (tmp_path / "x.toml").touch()
    with private_frx():
        yield {
            "PATH": os.environ["PATH"],
            "FRUIX_CONF": str(tmp_path / "x.toml"),
            **{variable: f"/frx/{name}" for variable, name in names.items()},
        }


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "fruix", "daemon", *arguments]


@contextmanager
def daemon(environment: dict[str, str], *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command(*arguments), env=environment, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for(path: str, directory: str) -> RemoteStore:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return connect(path, directory)
        except UnreachableError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def socket_of(environment: dict[str, str]) -> str:
    return f"{environment['FRUIX_STATE_DIR']}/daemon-socket/socket"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_start_work_and_orderly_end(environment: dict[str, str], number: signal.Signals) -> None:
    path = socket_of(environment)
    with daemon(environment) as process:
        with wait_for(path, environment["FRUIX_STORE_DIR"]) as store:
            added = store.add_text("a", b"b")
            assert store.is_valid(added)
            spawners = children_of(process.pid)
            assert spawners
            process.send_signal(number)
            assert process.wait(PATIENCE) == 0
        assert not os.path.exists(path)
        assert not any(os.path.exists(f"/proc/{pid}") for pid in spawners)
    with daemon(environment), wait_for(path, environment["FRUIX_STORE_DIR"]) as store:
        assert store.is_valid(added)


def test_a_killed_daemon_is_replaced(environment: dict[str, str]) -> None:
    path = socket_of(environment)
    with daemon(environment), wait_for(path, environment["FRUIX_STORE_DIR"]) as store:
        added = store.add_text("a", b"b")
    assert os.path.exists(path)
    with daemon(environment), wait_for(path, environment["FRUIX_STORE_DIR"]) as store:
        assert store.is_valid(added)


def test_a_second_daemon_is_refused(environment: dict[str, str]) -> None:
    with daemon(environment) as first:
        wait_for(socket_of(environment), environment["FRUIX_STORE_DIR"]).close()
        second = subprocess.run(command(), env=environment, capture_output=True, text=True, check=False)
        assert second.returncode == 1
        assert (
            f"another daemon is running on this state directory (daemon, process {first.pid})"
            in second.stderr
        )
        assert "hint: " in second.stderr
        wait_for(socket_of(environment), environment["FRUIX_STORE_DIR"]).close()


def test_a_second_daemon_with_another_state_directory_is_refused(environment: dict[str, str]) -> None:
    other = environment | {"FRUIX_STATE_DIR": "/frx/other"}
    with daemon(environment) as first:
        wait_for(socket_of(environment), environment["FRUIX_STORE_DIR"]).close()
        second = subprocess.run(command(), env=other, capture_output=True, text=True, check=False)
        assert second.returncode == 1
        assert f"(process {first.pid}, state directory {environment['FRUIX_STATE_DIR']})" in second.stderr
        assert "hint: use that one, stop it first" in second.stderr
        assert not os.path.exists(socket_of(other))
        wait_for(socket_of(environment), environment["FRUIX_STORE_DIR"]).close()


def header(file: Path) -> None:
    file.write_bytes(bytes(100) + file.read_bytes()[100:])


def first_page(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:100] + b"x" * 3996 + file.read_bytes()[4096:])


def all_other_pages(file: Path) -> None:
    data = file.read_bytes()
    file.write_bytes(data[:4096] + b"x" * (len(data) - 4096))


def no_database(file: Path) -> None:
    file.write_text("no database " * 1000)


@pytest.mark.parametrize("damage", [header, first_page, all_other_pages, no_database])
def test_a_damaged_database_keeps_it_from_starting(
    environment: dict[str, str], damage: Callable[[Path], None]
) -> None:
    file = Path(environment["FRUIX_STATE_DIR"], "db/db.sqlite")
    layout = Layout.from_environment(environment)
    with LocalStore(layout) as store:
        added = store.add_text("a", b"a")
    kept = file.read_bytes()
    damage(file)
    run = subprocess.run(command(), env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert f"{file}: database: it is damaged" in run.stderr
    assert "fruix store rebuild-database" in run.stderr
    assert "Traceback" not in run.stderr
    assert not os.path.exists(socket_of(environment))
    assert os.listdir(layout.staging[0]) == []
    file.write_bytes(kept)
    for suffix in ("-wal", "-shm"):
        Path(f"{file}{suffix}").write_bytes(b"garbage" * 1000)  # which SQLite tells from a log of its own
    with daemon(environment), wait_for(socket_of(environment), environment["FRUIX_STORE_DIR"]) as client:
        assert client.is_valid(added)


def test_bad_settings_keep_it_from_starting(environment: dict[str, str]) -> None:
    Path(environment["FRUIX_CONF"]).write_text("max-job = 1")
    run = subprocess.run(command(), env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert "unknown setting 'max-job'" in run.stderr
    assert environment["FRUIX_CONF"] in run.stderr


def test_socket_activation_and_notification(environment: dict[str, str], tmp_path: Path) -> None:
    path, told = str(tmp_path / "passed"), str(tmp_path / "told")
    with (
        socket.socket(socket.AF_UNIX) as listener,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
    ):
        listener.bind(path)
        listener.listen()
        manager.bind(told)
        manager.settimeout(PATIENCE)
        start = (
            "import os, sys; os.dup2(int(sys.argv[1]), 3); os.set_inheritable(3, True);"
            "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1');"
            "os.execv(sys.executable, [sys.executable, '-m', 'fruix', 'daemon'])"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", start, str(listener.fileno())],
            env={**environment, "NOTIFY_SOCKET": told},
            pass_fds=[listener.fileno()],
            stderr=subprocess.DEVNULL,
        )
        try:
            assert manager.recv(100) == b"READY=1"
            connect(path, environment["FRUIX_STORE_DIR"]).close()
            process.terminate()
            assert manager.recv(100) == b"STOPPING=1"
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()
            process.wait()
        assert os.path.exists(path)


def peer_as(uid: int, path: str) -> bytes:
    """What a process of that user gets to read after it has sent a greeting."""
    script = (
        "import socket, sys\n"
        "s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])\n"
        "data = b''\n"
        "try:\n"
        "    s.sendall(bytes.fromhex('6378696e00000000' '2501000000000000' + '00' * 16))\n"
        "    while piece := s.recv(4096): data += piece\n"
        "except ConnectionError: pass\n"  # the daemon may close before the greeting has been sent
        "sys.stdout.buffer.write(data)\n"
    )
    run = subprocess.run(
        ["/usr/bin/python3", "-c", script, path],
        capture_output=True,
        check=True,
        user=uid,
        group=uid,
        extra_groups=[],
        timeout=PATIENCE,
    )
    return run.stdout


@OTHER_USERS
def test_peers_are_looked_at(environment: dict[str, str]) -> None:
    Path(environment["FRUIX_CONF"]).write_text('allowed-users = ["root"]')
    # Not below pytest's own directory, which other users can't enter.
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        path = f"{directory}/socket"
        with daemon(environment, "--socket", path):
            wait_for(path, environment["FRUIX_STORE_DIR"]).close()
            assert b"is not allowed to connect to the daemon" in peer_as(65534, path)
            assert peer_as(35001, path) == b""


def test_embedded(environment: dict[str, str]) -> None:
    before = set(children_of(os.getpid()))  # those of other tests
    with embedded_store(environment) as store:
        added = store.add_text("a", b"b")
    with embedded_store(environment) as store:
        assert store.is_valid(added)
        assert store.trusted
    assert set(children_of(os.getpid())) <= before


def test_embedded_errors_are_the_clients(environment: dict[str, str]) -> None:
    Path(environment["FRUIX_CONF"]).write_text("max-job = 1")
    with pytest.raises(FruixError, match="unknown setting 'max-job'"), embedded_store(environment):
        pass


def test_embedded_beside_a_daemon_is_refused(environment: dict[str, str]) -> None:
    os.makedirs(environment["FRUIX_STATE_DIR"])
    with StateLock(environment["FRUIX_STATE_DIR"]) as lock:
        lock.take("daemon")
        with pytest.raises(FruixError, match="doesn't answer at the socket"), embedded_store(environment):
            pass


def test_embedded_ends_with_its_client(environment: dict[str, str]) -> None:
    script = (
        "import os, sys\n"
        "from fruix.daemon.embedded import embedded_store\n"
        "with embedded_store(os.environ) as store:\n"
        "    store.add_text('a', b'b')\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    run = subprocess.run([sys.executable, "-c", script], env=environment, check=False)
    assert run.returncode == -9
    # The lock is free again: the child has noticed and has gone.
    with embedded_store(environment) as store:
        assert len(store.all_valid_paths()) == 1
