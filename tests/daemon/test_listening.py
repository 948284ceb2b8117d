from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from fruix.daemon.listening import StateLock, forget, listen, notify, passed_sockets
from fruix.errors import StoreError


def test_the_socket_is_made_whole_and_for_all(tmp_path: Path) -> None:
    path = tmp_path / "daemon-socket" / "socket"
    with listen(str(path)) as listener, socket.socket(socket.AF_UNIX) as client:
        assert stat.S_IMODE(path.stat().st_mode) == 0o666
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o755
        client.connect(str(path))
        listener.accept()[0].close()
    assert os.listdir(path.parent) == ["socket"]
    forget(str(path))
    forget(str(path))
    assert os.listdir(path.parent) == []


def test_the_umask_is_left_as_it_was(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        listen(str(tmp_path / "socket")).close()
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)


def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    listen(path).close()
    with listen(path), socket.socket(socket.AF_UNIX) as client:
        client.connect(path)


@pytest.mark.parametrize("kind", ["file", "directory", "symlink"])
def test_nothing_else_is_replaced(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "socket"
    make: dict[str, Callable[[], object]] = {
        "file": path.touch,
        "directory": path.mkdir,
        "symlink": lambda: path.symlink_to("/tmp/elsewhere"),
    }
    make[kind]()
    with pytest.raises(StoreError, match="no socket"):
        listen(str(path))


def test_directories_of_others_are_refused(tmp_path: Path) -> None:
    for mode in (0o777, 0o1777, 0o775):
        tmp_path.chmod(mode)
        with pytest.raises(StoreError, match="could be changed by others"):
            listen(str(tmp_path / "socket"))


def test_a_name_that_is_too_long_is_explained(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 120)
    with pytest.raises(StoreError, match="too long"):
        listen(str(deep / "socket"))


def test_one_daemon_per_state(tmp_path: Path) -> None:
    with StateLock(str(tmp_path)) as first, StateLock(str(tmp_path)) as second:
        first.take("daemon")
        with pytest.raises(StoreError, match=f"daemon, process {os.getpid()}"):
            second.take("daemon")
        first.release()
        second.take("embedded daemon")
        assert first.holder() == f"embedded daemon, process {os.getpid()}"


def test_a_lock_file_that_somebody_deleted_lets_no_second_daemon_in(tmp_path: Path) -> None:
    with StateLock(str(tmp_path)) as first, StateLock(str(tmp_path)) as second:
        first.take("daemon")
        os.unlink(first.path)
        with pytest.raises(
            StoreError, match=r"state directory \(unknown process, its name was deleted\)"
        ) as caught:
            second.take("daemon")
        assert caught.value.where == first.path
        first.release()
        second.take("daemon")


def test_passed_sockets_are_for_the_named_process_only() -> None:
    assert passed_sockets({}) == []
    assert passed_sockets({"LISTEN_PID": "1", "LISTEN_FDS": "1"}) == []
    assert passed_sockets({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "x"}) == []


def test_the_service_manager_is_told(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        notify({"NOTIFY_SOCKET": path}, "READY=1")
        assert manager.recv(100) == b"READY=1"
        notify({}, "READY=1")
        notify({"NOTIFY_SOCKET": str(tmp_path / "nobody")}, "READY=1")
