"""Malformed URLs and answers: the file arrives as declared, or each URL is named with a reason."""

from __future__ import annotations

import contextlib
import io
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fruix.building.builders import download
from fruix.building.builders.fetchurl import read_request
from fruix.building.builders.mirrors import expand
from fruix.errors import BadDerivationError, UsageError
from fruix.model.derivation import Derivation, DerivationOutput
from fruix.model.hashes import Hash

DATA = b"what was declared"
PLAIN = b"HTTP/1.1 200 OK\r\n"
GOOD = PLAIN + b"Content-Length: %d\r\n\r\n" % len(DATA) + DATA
MOST = 1 << 20
ENDLESS = b"X-Length: endless"  # a header after which bytes are sent until nobody takes them


class Server:
    """Answers each connection with the next of `answers`, then closes it.

    The last answer is given to all later connections; what is asked doesn't matter.
    """

    def __init__(self) -> None:
        self.answers: list[bytes] = [GOOD]
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection, contextlib.suppress(OSError):
                request = connection.recv(MOST)
                if request.startswith(b"END"):
                    return
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                connection.sendall(answer)
                while ENDLESS in answer:
                    connection.sendall(bytes(MOST))
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(MOST):  # else what is unread would reset the connection
                    pass

    def close(self) -> None:
        with socket.create_connection(self._listener.getsockname()) as last:
            last.sendall(b"END")
        self._thread.join()
        self._listener.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("time.sleep", lambda _seconds: None)
        running = Server()
        try:
            yield running
        finally:
            running.close()


def fetch(*urls: tuple[str, str], **changes: Any) -> tuple[int, str, bytes | None]:
    """The status, what was said, and what is at the destination."""
    said = io.StringIO()
    with tempfile.TemporaryDirectory() as directory, contextlib.redirect_stdout(said):
        arguments = {
            "urls": list(urls),
            "hash": Hash.of("sha256", DATA).sri,
            "destination": f"{directory}/out",
            "report": "",
            "executable": False,
            "unpack": False,
            "max_size": MOST,
            "ca_file": "",
            "proxies": {},
        }
        status = download.main({**arguments, **changes})
        path = Path(directory, "out")
        # How far it went depends on how quick it is.
        lines = [line for line in said.getvalue().splitlines(True) if not line.startswith("@ fruix progress")]
        return status, "".join(lines), path.read_bytes() if path.is_file() else None


def header(*lines: bytes) -> bytes:
    return PLAIN + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def redirect(to: bytes) -> bytes:
    return b"HTTP/1.1 302 Found\r\nLocation: " + to + b"\r\nContent-Length: 0\r\n\r\n"


ANSWERS = {
    "no number": (header(b"Content-Length: abc") + DATA, "malformed Content-Length: abc"),
    "negative": (header(b"Content-Length: -17") + DATA, "malformed Content-Length: -17"),
    "signed": (header(b"Content-Length: +17") + DATA, "malformed Content-Length"),
    "huge": (header(b"Content-Length: " + b"9" * 18) + DATA, "longer than the limit"),
    "beyond numbers": (header(b"Content-Length: " + b"9" * 5000) + DATA, "malformed Content-Length"),
    "two lengths": (
        header(b"Content-Length: 17", b"Content-Length: 3") + DATA,
        "malformed Content-Length: 17, 3",
    ),
    "list of lengths": (header(b"Content-Length: 17, 3") + DATA, "malformed Content-Length"),
    "too short": (header(b"Content-Length: 400") + DATA, "IncompleteRead"),
    "no chunks": (header(b"Transfer-Encoding: chunked") + DATA, "IncompleteRead"),
    "negative chunk": (
        header(b"Transfer-Encoding: chunked") + b"-5\r\n" + DATA,
        "malformed size of a chunk: -5",
    ),
    "half a chunk": (header(b"Transfer-Encoding: chunked") + b"ff\r\n" + DATA, "IncompleteRead"),
    "long chunk line": (header(b"Transfer-Encoding: chunked") + b"f" * 70000, "LineTooLong"),
    "nothing": (b"", "Remote end closed connection"),
    "no HTTP": (b"\x00\xff garbage\r\n\r\n", "BadStatusLine"),
    "odd status": (b"HTTP/1.1 abc OK\r\n\r\n", "BadStatusLine"),
    "odd version": (b"HTTP/9.9 200 OK\r\n\r\n" + DATA, "UnknownProtocol"),
    "long line": (b"HTTP/1.1 200 " + b"x" * 70000, "LineTooLong"),
    "many headers": (
        header(*(b"X-%d: y" % number for number in range(200))) + DATA,
        "got more than 100 headers",
    ),
    "long header": (header(b"X: " + b"y" * 70000) + DATA, "LineTooLong"),
    "other encoding": (header(b"Content-Encoding: gzip") + b"\x1f\x8b", "in the encoding 'gzip'"),
    "no place": (b"HTTP/1.1 302 Found\r\n\r\n", "302"),
    "to a file": (redirect(b"file:///etc/passwd"), "302"),
    "to ftp": (redirect(b"ftp://127.0.0.1/x"), "302"),
    "to an odd host": (redirect(b"http://[::1"), "Invalid IPv6 URL"),
    "to a long label": (redirect(b"http://" + b"x" * 70 + b".example/"), "malformed URL"),
    "to no host": (redirect(b"http:///x"), "302"),
    "to a far port": (redirect(b"http://127.0.0.1:99999/"), "malformed URL"),
    "to a user": (redirect(b"http://me:secret@127.0.0.1/"), "passwords in URLs are not supported"),
    "to bytes": (redirect(b"/\xff\xfe\x80 x"), "would lead to an infinite loop"),
    "to itself": (redirect(b"/again"), "would lead to an infinite loop"),
    "to letters": (redirect(b"\xe2\x84\x80://x"), ""),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_a_malformed_answer_fails_that_url(server: Server, name: str) -> None:
    answer, why = ANSWERS[name]
    server.answers = [answer]
    status, said, _ = fetch((f"{server.url}/x", ""))
    assert status == download.FAILED
    lines = said.splitlines()
    assert all(line.startswith((f"{server.url}/x: ", "none of ")) for line in lines), said
    assert why in lines[0]
    assert "secret" not in said


@pytest.mark.parametrize("name", ANSWERS)
def test_the_next_url_is_tried(server: Server, name: str) -> None:
    answer, _ = ANSWERS[name]
    other = Server()
    try:
        server.answers = [answer]
        status, said, found = fetch((f"{server.url}/x", ""), (f"{other.url}/y", ""))
    finally:
        other.close()
    assert (status, found) == (0, DATA), said
    assert said.startswith(f"{server.url}/x: ")


def test_a_redirects_body_is_not_read(server: Server) -> None:
    """It may have no end."""
    server.answers = [b"HTTP/1.1 302 Found\r\nLocation: /y\r\n" + ENDLESS + b"\r\n\r\n", GOOD]
    assert fetch((f"{server.url}/x", ""))[::2] == (0, DATA)


def test_a_length_that_is_said_twice_alike_is_one(server: Server) -> None:
    server.answers = [header(b"Content-Length: 17", b"Content-Length: 17") + DATA]
    assert fetch((f"{server.url}/x", ""))[::2] == (0, DATA)


def test_after_a_tree_that_could_not_be_unpacked_comes_the_next(server: Server) -> None:
    """What half of an archive has left is no obstacle."""
    from golden_data import GOLDEN

    nar = (GOLDEN / "nar" / "tree.nar").read_bytes()
    server.answers = [header() + nar[:-40], header() + nar]
    status, said, _ = fetch((f"{server.url}/x", ""), (f"{server.url}/y", ""), unpack=True, hash="")
    assert status == 0, said


URLS = {
    "http://[::1": "Invalid IPv6 URL",
    f"http://{'x' * 70}.example/": "malformed URL",
    "http://\u2100.example/": "malformed URL",  # its NFKC form has a slash
    "http://\udc80.example/": "malformed URL",
    "http://a..b/": "malformed URL",
    "http:///x": "no host",
    "http://": "no host",
    "http://127.0.0.1:99999/": "malformed URL",
    "http://127.0.0.1:x/": "malformed URL",
    "http://127.0.0.1:-1/": "malformed URL",
    "http://me:secret@127.0.0.1/": "passwords in URLs are not supported",
    "http://me:sec\nret@127.0.0.1/": "passwords in URLs are not supported",
    "http://exa mple/": "its host has characters",
    "http://\x1b]0;x\x07/": "",
    "https://[::ffff:127.0.0.1:1]:x/": "",
}


@pytest.mark.parametrize("url", URLS)
def test_a_malformed_url_has_a_reason(server: Server, url: str) -> None:
    server.answers = [GOOD]
    status, said, found = fetch((url, ""), (f"{server.url}/good", ""))
    assert (status, found) == (0, DATA)
    first = said.splitlines()[0]
    assert URLS[url] in first
    assert "secret" not in said
    assert first.isprintable()


@pytest.fixture
def nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every connection is refused, after its address has been looked at as usual; no name server is asked."""

    def refuse(address: tuple[str, int], *_: Any, **__: Any) -> socket.socket:
        socket.getaddrinfo(*address, flags=socket.AI_NUMERICHOST)
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(socket, "create_connection", refuse)


texts = st.text(max_size=40) | st.text(alphabet="[]:/@%?#.\\ \n\t\x00a1\udc80\u2100é", max_size=40)
urls = st.builds("{}{}".format, st.sampled_from(["http://", "https://", "mirror://gnu/", "ftp:", ""]), texts)


@pytest.mark.usefixtures("nobody_listens")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(urls, min_size=1, max_size=3))
def test_any_urls(asked: list[str]) -> None:
    candidates = expand(asked, {})
    status, said, _ = fetch(*((tried.url, tried.refusal) for tried in candidates))
    assert status == download.FAILED
    lines = said.splitlines()
    assert len(lines) == len(candidates) + 1
    assert all(": " in line and line.isprintable() for line in lines[:-1])


@settings(deadline=None)
@given(st.text(max_size=60) | st.text(alphabet='\\"()xuU0aF ', max_size=40))
def test_any_scheme_text(text: str) -> None:
    """Guix's way to name URLs: it is taken for a string, for a list, or refused."""
    output = DerivationOutput(None, "sha256", Hash.of("sha256", DATA).base16)
    derivation = Derivation("x", {"out": output}, {}, (), "builtin", "builtin:download", (), {"url": text})
    with contextlib.suppress(UsageError, BadDerivationError):
        read_request(derivation, {}, str)


def test_scheme_escapes() -> None:
    output = DerivationOutput(None, "sha256", Hash.of("sha256", DATA).base16)
    text = r'("http://a/\x41\u00e9\\\"" "http://b/\q")'
    derivation = Derivation("x", {"out": output}, {}, (), "builtin", "builtin:download", (), {"url": text})
    assert [tried.url for tried in read_request(derivation, {}, str).urls] == ['http://a/Aé\\"', "http://b/q"]


pieces = st.sampled_from(
    [
        *(
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.1 302 Found\r\n",
            b"HTTP/1.0 206 x\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\n",
        ),
        *(
            b"Content-Length: ",
            b"Transfer-Encoding: chunked\r\n",
            b"Location: ",
            b"http://127.0.0.1:1/",
            b"/x",
        ),
        *(b"\r\n", b"\r\n\r\n", b"11\r\n", b"0\r\n\r\n", b"-1", b"17\r\n", DATA, GOOD, b"\xff", b": "),
    ]
)
answers = st.binary(max_size=200) | st.lists(pieces | st.binary(max_size=8), max_size=12).map(b"".join)


@settings(deadline=None)
@given(st.lists(answers, min_size=1, max_size=4))
def test_any_answers(server: Server, given_: list[bytes]) -> None:
    server.answers = given_
    status, said, found = fetch((f"{server.url}/x", ""))
    if status == 0:
        assert found == DATA
    else:
        assert said.startswith(f"{server.url}/x: ")
        assert "Traceback" not in said


@pytest.mark.parametrize("output", [DerivationOutput(None), DerivationOutput(None, "r:sha256")])
def test_contents_that_nobody_declares(output: DerivationOutput) -> None:
    """In the words that Nix's own tests look for."""
    env = {"url": "http://a/x"}
    derivation = Derivation("x", {"out": output}, {}, (), "builtin", "builtin:fetchurl", (), env)
    with pytest.raises(
        BadDerivationError, match="'builtin:fetchurl' must be a fixed-output or impure derivation"
    ):
        read_request(derivation, {}, str)
