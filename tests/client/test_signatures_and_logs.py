"""What is added to a store besides paths: signatures, and logs of builds elsewhere."""

from __future__ import annotations

import os
import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from client.test_remote import some
from daemon.serving import Running, running
from fruix.building.record.log_reading import read_log
from fruix.client import RemoteStore
from fruix.daemon.peers import Peer
from fruix.daemon.request_loop import RequestLoop
from fruix.daemon.session import Session
from fruix.errors import (
    InvalidPathError,
    NotPermittedError,
    UsageError,
)
from fruix.model.storepath import StorePath
from fruix.protocol.nix import AddBuildLog, AddSignatures
from protocol.replay import Call, Replay, recording


def replayed(name: str) -> list[Call]:
    session = Replay(recording(name))
    session.run()
    return session.calls


def test_signatures_are_added_once_and_come_back(daemon: Running) -> None:
    first, second = (f"{name}:{'A' * 85}B==" for name in ("cache.example-1", "test-1"))
    with daemon.connect() as store:
        path = store.add_text("thing", b"one")
        before = store.path_info(path)
        assert before is not None
        store.add_signatures(path, [second])
        store.add_signatures(path, [first, second])
        assert store.path_info(path) == replace(before, signatures=(first, second))
        with pytest.raises(InvalidPathError):
            store.add_signatures(some(store.directory), [first])
        for wrong in ("", f"{first} {second}", "name:short"):
            with pytest.raises(UsageError, match="is no signature"):
                store.add_signatures(path, [wrong])
        with pytest.raises(UsageError, match="more than 1024 signatures"):
            store.add_signatures(path, [f"{number}:{'A' * 86}==" for number in range(1023)])
        assert (
            store.path_info(path)
            == daemon.store.path_info(path)
            == replace(before, signatures=(first, second))
        )


def test_a_recorded_client_signs(daemon: Running) -> None:
    (call,) = [call for call in replayed("nix-2.34.8-sign.json") if call.operation.number == 37]
    assert isinstance(call.values, AddSignatures)
    with daemon.connect() as store:
        path = store.add_text("simple2", b"")
        store.add_signatures(path, call.values.signatures)
        info = store.path_info(path)
        assert info is not None
        assert info.signatures == call.values.signatures
        assert info.signatures[0].startswith("test-1:gLPL3Wnp")


def test_the_log_of_a_build_elsewhere_is_added_and_one_that_is_there_stays(daemon: Running) -> None:
    (call,) = [call for call in replayed("nix-2.34.8-copylog.json") if call.operation.number == 45]
    assert isinstance(call.values, AddBuildLog)
    drv = StorePath.of(daemon.store.directory, call.values.drv.base)
    log = daemon.store.layout.log_file(drv)
    with daemon.connect() as store:
        store.add_build_log(drv, [b"configuring\n", os.urandom(200_000), b"no line end"])
        first = b"".join(read_log(log))
        assert len(first) == 200_023
        assert first.startswith(b"configuring\n")
        store.add_build_log(drv, [b"another"])
        with pytest.raises(UsageError, match="is no derivation"):
            store.add_build_log(some(store.directory), [b"x" * 100_000])
        assert not store.is_valid(drv)
    assert b"".join(read_log(log)) == first
    assert os.listdir(os.path.dirname(log)) == [f"{os.path.basename(log)}.bz2"]


def test_only_trusted_users_add_logs(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        ours, theirs = socket.socketpair()
        service = daemon.server._service
        peer = Peer(os.getuid(), os.getgid(), os.getpid())
        session = Session(theirs, peer, service, trusted=False)
        thread = threading.Thread(target=RequestLoop(session).run)
        thread.start()
        with RemoteStore(ours, daemon.store.directory) as store:
            with pytest.raises(NotPermittedError, match="you are not privileged to add logs"):
                store.add_build_log(some(store.directory, "x.drv"), [b"x"])
            store.add_signatures(store.add_text("a", b""), [f"key:{'A' * 86}=="])
        thread.join()
        theirs.close()
        assert list(Path(daemon.store.layout.logs).rglob("*.drv*")) == []
