from __future__ import annotations

import socket
import threading

import pytest

from fruix.errors import FruixError, GuixDaemonError, ProtocolError
from fruix.protocol import handshake, messages
from fruix.protocol.reader import Source
from fruix.protocol.wire import FEATURE, Context, Dialect

STORE = "/frx/store"


def test_both_sides_understand_each_other() -> None:
    ours, theirs = socket.socketpair()
    found: list[Context] = []

    def serve() -> None:
        source = Source(theirs.recv)
        found.append(
            handshake.serve(source, theirs.sendall, directory=STORE, version="fruix 1", trusted=False)
        )

    with ours, theirs:
        thread = threading.Thread(target=serve)
        thread.start()
        greeting = handshake.greet(Source(ours.recv), ours.sendall, directory=STORE)
        thread.join()
    assert greeting.context == found[0] == Context(Dialect.NIX, 38, STORE, frozenset({FEATURE}))
    assert greeting.daemon_version == "fruix 1"
    assert greeting.trusted is False


def u64s(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(8, "little") for number in numbers)


def test_a_nix_daemon_is_understood() -> None:
    sent: list[bytes] = []
    answer = u64s(handshake.SERVER_MAGIC, 0x126, 0, 6) + b"2.34.8\0\0" + u64s(1)
    greeting = handshake.greet(Source.of(answer), sent.append, directory=STORE)
    assert greeting.context == Context(Dialect.NIX, 38, STORE)
    assert greeting.trusted is True
    assert sent[0] == bytes.fromhex("6378696e000000002601000000000000")


def test_an_older_nix_daemon_says_less() -> None:
    answer = u64s(handshake.SERVER_MAGIC, 0x122, 5) + b"2.8.0\0\0\0"
    greeting = handshake.greet(Source.of(answer), lambda _: None, directory=STORE)
    assert greeting.context.minor == 34
    assert greeting.trusted is None


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (u64s(1, 2), "no build daemon"),
        (u64s(handshake.SERVER_MAGIC, 0x121), "older"),
        (u64s(handshake.SERVER_MAGIC, 0x226), "speaks version 2.38"),
    ],
)
def test_what_is_no_daemon_is_refused(answer: bytes, reason: str) -> None:
    with pytest.raises(ProtocolError, match=reason):
        handshake.greet(Source.of(answer), lambda _: None, directory=STORE)


@pytest.mark.parametrize(
    "answer",
    [u64s(handshake.SERVER_MAGIC, 0x164, messages.Code.LAST), u64s(handshake.SERVER_MAGIC, 0x163)],
    ids=["1.5", "1.4"],
)
def test_guix_daemon_is_known_by_its_answer(answer: bytes) -> None:
    sent = bytearray()
    with pytest.raises(GuixDaemonError):
        handshake.greet(Source.of(answer), sent.extend, directory=STORE)
    # What it takes for a processor and a reserve: it reads numbers below 2^32 only.
    prelude = Source.of(bytes(sent[16:40]))
    assert sent[:16] == u64s(handshake.CLIENT_MAGIC, 0x126)
    assert answer[8:16] == u64s(0x163) or [prelude.u64() for _ in range(3)] == [2, 0, len(FEATURE)]


def test_guix_daemon_is_greeted_in_its_dialect() -> None:
    sent = bytearray()
    greeting = handshake.greet_guix(
        Source.of(u64s(handshake.SERVER_MAGIC, 0x163)), sent.extend, directory=STORE
    )
    assert greeting.context == Context(Dialect.GUIX, 0x63, STORE)
    assert sent == u64s(handshake.CLIENT_MAGIC, 0x164, 0, 0)


@pytest.mark.parametrize("answer", [u64s(1, 0x164), u64s(handshake.SERVER_MAGIC, 0x126)])
def test_what_is_no_guix_daemon_is_refused(answer: bytes) -> None:
    with pytest.raises(ProtocolError, match="no guix-daemon"):
        handshake.greet_guix(Source.of(answer), lambda _: None, directory=STORE)


def test_a_daemon_names_few_features() -> None:
    with pytest.raises(ProtocolError, match="65 features"):
        handshake.greet(Source.of(u64s(handshake.SERVER_MAGIC, 0x164, 65)), lambda _: None, directory=STORE)


def test_affinity_may_be_given() -> None:
    data = u64s(handshake.CLIENT_MAGIC, 0x164, 1, 3, 1)
    source = Source.of(data)
    context = handshake.serve(source, lambda _: None, directory=STORE, version="x", trusted=True)
    assert context == Context(Dialect.GUIX, 0x64, STORE)
    assert source.at_end()


def test_a_greeting_is_small() -> None:
    data = u64s(handshake.CLIENT_MAGIC, 0x126, 64) + (u64s(250) + bytes(256)) * 64
    with pytest.raises(FruixError):
        handshake.serve(Source.of(data), lambda _: None, directory=STORE, version="x", trusted=True)
    with pytest.raises(ProtocolError, match="at most 64"):
        handshake.serve(
            Source.of(u64s(handshake.CLIENT_MAGIC, 0x126, 65)),
            lambda _: None,
            directory=STORE,
            version="x",
            trusted=True,
        )
