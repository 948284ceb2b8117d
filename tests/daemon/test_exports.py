"""Exports and imports over both dialects, and whose word is taken on what comes in."""

from __future__ import annotations

import os
import socket
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.asking import Client, client
from daemon.serving import Running, running
from fruix.client import RemoteStore
from fruix.client.transfer import write_exports
from fruix.daemon.peers import Peer
from fruix.daemon.request_loop import RequestLoop
from fruix.daemon.session import Session
from fruix.daemon.settings import Settings
from fruix.errors import FruixError, NotPermittedError, ProtocolError, StoreError
from fruix.model.contentaddress import Method
from fruix.model.guix_signature import acl, public_key
from fruix.model.nar import export
from fruix.model.sexp import parse
from fruix.model.storepath import StorePath
from fruix.protocol import messages
from fruix.protocol.messages import Failure, Last, Message, Read, Write
from fruix.protocol.options import ClientOptions
from fruix.protocol.wire import Dialect, read_string, write_string
from golden_data import GOLDEN

SECRET = GOLDEN / "keys/guix-signing-key.sec"
PIECE = 32768


def settings(tmp_path: Path, **more: Any) -> Settings:
    """With Guix's golden key, which no list has authorized yet."""
    key = tmp_path / "signing-key.sec"
    if not key.exists():
        key.write_bytes(SECRET.read_bytes())
        key.chmod(0o400)
    return Settings(acl_file=str(tmp_path / "acl"), signing_key_file=str(key), **more)


def authorize(tmp_path: Path) -> None:
    (tmp_path / "acl").write_text(acl(public_key(parse(SECRET.read_bytes()))))


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path, settings(tmp_path)) as found:
        yield found


def some_paths(store: RemoteStore) -> list[StorePath]:
    first = store.add_text("first", b"one")
    return [first, store.add_text("second", f"see {first}".encode(), [first])]


def exported(store: RemoteStore, paths: list[StorePath], *, sign: bool = False) -> bytes:
    data = bytearray()
    write_exports(store, store.closure_infos(paths), data.extend, sign=sign)
    return bytes(data)


def forget(daemon: Running, paths: list[StorePath]) -> None:
    daemon.store.database.remove(reversed(paths))
    for path in paths:
        daemon.store.delete_unregistered(path)


def guix_import(guix: Client, data: bytes) -> tuple[Message, list[str]]:
    """What a client of Guix does: it sends what it is asked for, in pieces of that size at most."""
    guix.send(27)
    while isinstance(message := messages.read(guix.source, guix.context), Read):
        piece = bytearray()
        write_string(piece, data[: message.limit])
        data = data[message.limit :]
        guix.stream.sendall(piece)
    if not isinstance(message, Last):
        return message, []
    return message, [read_string(guix.source, 1000).decode() for _ in range(guix.source.u64())]


def guix_export(guix: Client, path: StorePath, *, sign: bool) -> bytes:
    said, _ = guix.call(16, path, sign)
    assert isinstance(said[-1], Last), said[-1]
    assert all(isinstance(message, Write) for message in said[:-1])
    return b"".join(message.data for message in said if isinstance(message, Write))


def guix_client(daemon: Running) -> Client:
    guix = client(daemon, Dialect.GUIX, 0x64)
    guix.greet()
    guix.call(19, ClientOptions())  # tells nothing but errors
    return guix


def test_all_clients_are_given_the_same_bytes(daemon: Running) -> None:
    store, guix = daemon.connect(), guix_client(daemon)
    paths = some_paths(store)
    for sign in (False, True):
        items = b"".join(export.ITEM + guix_export(guix, path, sign=sign) for path in paths)
        assert items + export.END == exported(store, [paths[1]], sign=sign)


def test_what_was_exported_is_imported(daemon: Running, tmp_path: Path) -> None:
    authorize(tmp_path)
    store, guix = daemon.connect(), guix_client(daemon)
    paths = some_paths(store)
    before = store.closure_infos(paths)
    unsigned, signed = exported(store, paths), exported(store, paths, sign=True)
    imports: list[Callable[[], list[StorePath]]] = [
        lambda: store.import_stream([unsigned], unchecked=True),
        lambda: store.import_stream([signed[:100], signed[100:]], unchecked=False),
        lambda: [StorePath.parse(text, store.directory) for text in guix_import(guix, signed)[1]],
    ]
    for add in imports:
        forget(daemon, paths)
        assert add() == paths
        after = store.closure_infos(paths)
        # The stream doesn't say that a path is named by its contents.
        assert [info.nar_hash for info in after] == [info.nar_hash for info in before]
        assert [info.references for info in after] == [info.references for info in before]
        assert Path(str(paths[1])).read_text() == f"see {paths[0]}"
        assert add() == paths  # again, where they are valid


def test_a_stream_in_many_pieces(daemon: Running, tmp_path: Path) -> None:
    """Larger than what is asked for at once; what follows in the last piece is dropped."""
    authorize(tmp_path)
    (tmp_path / "big").write_bytes(os.urandom(5 * PIECE + 3))
    store, guix = daemon.connect(), guix_client(daemon)
    path = store.add_path("big", str(tmp_path / "big"), Method.FLAT)
    signed = exported(store, [path], sign=True)
    forget(daemon, [path])
    assert guix_import(guix, signed + b"dropped")[1] == [str(path)]
    assert guix.call(1, path)[1] is True


def test_guix_s_clients_have_to_bring_signatures(daemon: Running, tmp_path: Path) -> None:
    """Whoever they are; in guix-daemon's words, and the connection goes on."""
    store, guix = daemon.connect(), guix_client(daemon)
    paths = some_paths(store)
    unsigned, signed = exported(store, paths), exported(store, paths, sign=True)
    forget(daemon, paths)

    def refused(data: bytes) -> str:
        message, _ = guix_import(guix, data)
        assert isinstance(message, Failure)
        assert not any(map(store.is_valid, paths))
        assert not any(os.path.lexists(str(path)) for path in paths)
        return message.message

    assert refused(unsigned) == f"imported archive of `{paths[0]}' lacks a signature"
    assert refused(signed).startswith("unauthorized public key: (public-key")
    authorize(tmp_path)
    assert refused(signed.replace(b"one", b"two")).startswith("signed hash doesn't match actual contents")
    assert "bad archive" in refused(signed[:40] + b"x" + signed[41:])
    assert refused(b"nonsense" * 10) == ("input doesn't look like something created by `nix-store --export'")
    assert refused(signed[:300]) == "unexpected end-of-file"
    assert guix_import(guix, signed)[1] == [str(path) for path in paths]


def test_items_before_one_that_is_refused_stay(daemon: Running, tmp_path: Path) -> None:
    authorize(tmp_path)
    store = daemon.connect()
    paths = some_paths(store)
    signed = exported(store, paths, sign=True)
    forget(daemon, paths)
    with pytest.raises(NotPermittedError, match="signed hash"):
        store.import_stream([signed.replace(b"see ", b"saw ")], unchecked=False)
    assert store.valid_paths(paths) == {paths[0]}


def test_a_path_that_has_changed_is_not_exported(daemon: Running) -> None:
    store, guix = daemon.connect(), guix_client(daemon)
    [path, _] = some_paths(store)
    os.chmod(str(path), 0o644)
    Path(str(path)).write_text("two")
    with pytest.raises(StoreError, match=f"hash of path '{path}' has changed"):
        exported(store, [path])
    said, _ = guix.call(16, path, False)
    assert isinstance(said[-1], Failure)
    assert "has changed from" in said[-1].message
    assert guix.call(1, path)[1] is True


def test_a_key_that_is_no_secret_signs_nothing(daemon: Running, tmp_path: Path) -> None:
    store = daemon.connect()
    paths = some_paths(store)
    (tmp_path / "signing-key.sec").chmod(0o440)
    with pytest.raises(NotPermittedError, match="should be secret"):
        exported(store, paths, sign=True)
    (tmp_path / "signing-key.sec").unlink()
    with pytest.raises(FruixError, match="can't open the key"):
        exported(store, paths, sign=True)
    assert store.is_valid(paths[0])


def test_own_operations_are_for_own_daemons(daemon: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """With another one, exports and closures go on with what all daemons know."""
    store = daemon.connect()
    paths = some_paths(store)
    whole, infos = exported(store, paths), store.closure_infos(paths)
    assert store.closure(paths[1:]) == set(paths)
    monkeypatch.setattr("fruix.client.contents.FEATURE", "something else")
    assert store.closure_infos(paths) == infos
    assert store.closure(paths[1:]) == set(paths)
    assert exported(store, paths) == whole
    with pytest.raises(ProtocolError, match="can't sign exports"):
        exported(store, paths, sign=True)
    with pytest.raises(ProtocolError, match="can't import streams"):
        store.import_stream([whole], unchecked=True)


def test_memory_stays_flat(daemon: Running, tmp_path: Path) -> None:
    """Of daemon and client together, which are both this process here."""
    size = 48 << 20
    with open(tmp_path / "big", "wb") as stream:
        stream.truncate(size)
    store = daemon.connect()
    path = store.add_path("big", str(tmp_path / "big"))
    fed = tmp_path / "stream"
    tracemalloc.start()
    try:
        with open(fed, "wb") as stream:
            write_exports(store, store.closure_infos([path]), stream.write, sign=True)
        forget(daemon, [path])
        authorize(tmp_path)
        with open(fed, "rb") as stream:
            assert store.import_stream(iter(lambda: stream.read(1 << 16), b""), unchecked=False) == [path]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < size // 2
    assert fed.stat().st_size > size


def test_importing_unchecked_is_for_trusted_users(daemon: Running) -> None:
    store = daemon.connect()
    paths = some_paths(store)
    whole = exported(store, paths)
    forget(daemon, paths)
    ours, theirs = socket.socketpair()
    peer = Peer(os.getuid(), os.getgid(), os.getpid())
    session = Session(theirs, peer, daemon.server._service, trusted=False)
    thread = threading.Thread(target=RequestLoop(session).run)
    thread.start()
    with RemoteStore(ours, store.directory) as other:
        with pytest.raises(NotPermittedError, match="is for trusted users"):
            other.import_stream([whole], unchecked=True)
        with pytest.raises(NotPermittedError, match="lacks a signature"):
            other.import_stream([whole], unchecked=False)
        assert not other.valid_paths(paths)
    thread.join()
    theirs.close()


def test_files_that_are_here_are_read_here(daemon: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the daemon's socket as the second way, where one isn't there."""
    store = daemon.connect()
    paths = some_paths(store)
    whole, infos = exported(store, paths), store.closure_infos(paths)
    asked: list[StorePath] = []
    nar = store.nar

    def counted(path: StorePath) -> Iterator[bytes]:
        asked.append(path)
        return nar(path)

    monkeypatch.setattr(store, "nar", counted)
    data = bytearray()
    write_exports(store, infos, data.extend, here=True)
    assert data == whole
    assert asked == []
    Path(str(paths[0])).unlink()
    with pytest.raises(FruixError):
        write_exports(store, infos, data.extend, here=True)
    assert asked == paths[:1]


def test_streams_larger_than_what_messages_and_clients_may_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In both directions and dialects: only what is between archives counts."""
    authorize(tmp_path)
    monkeypatch.setattr("fruix.client.exchange.REPLY_LIMIT", 1 << 20)
    (tmp_path / "big").write_bytes(os.urandom(3 << 20))
    little = {"max_client_memory": 1 << 20, "reserved_client_memory": 0}
    with running(tmp_path, settings(tmp_path, **little)) as daemon:
        store, guix = daemon.connect(), guix_client(daemon)
        path = store.add_path("big", str(tmp_path / "big"))
        signed = exported(store, [path], sign=True)
        forget(daemon, [path])
        assert guix_import(guix, signed)[1] == [str(path)]
        forget(daemon, [path])
        assert store.import_stream([signed], unchecked=False) == [path]


def test_a_deriver_is_kept_where_it_is_here(daemon: Running) -> None:
    store = daemon.connect()
    [path, drv] = some_paths(store)
    archive = b"".join(store.nar(path))
    forget(daemon, [path, drv])
    store = daemon.connect()
    drv = store.add_text("something", b"that is a deriver here")
    for deriver, kept in ((StorePath.of(store.directory, f"{'c' * 32}-gone.drv"), None), (drv, drv)):
        described = export.Description(path, (), deriver).encoded
        stream = export.ITEM + archive + described + export.signature(None) + export.END
        assert store.import_stream([stream], unchecked=True) == [path]
        info = store.path_info(path)
        assert info is not None
        assert info.deriver == kept
        forget(daemon, [path])
