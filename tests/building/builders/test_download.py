"""The download program against a server of our own on the loopback interface."""

from __future__ import annotations

import hashlib
import http.server
import lzma
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from fruix.building.builders import download
from fruix.building.builders.local_sources import find_source
from fruix.downloads import opener
from fruix.model.hashes import Hash
from fruix.store.tree.dump import dump
from golden_data import GOLDEN

DATA = b"contents of a tarball\n" * 5000


NAR = (GOLDEN / "nar" / "tree.nar").read_bytes()


class Handler(http.server.BaseHTTPRequestHandler):
    asked: ClassVar[list[str]] = []
    failures: ClassVar[int] = 0

    def do_GET(self) -> None:
        type(self).asked.append(self.path)
        routes: dict[str, Any] = {
            "/good": self._good,
            "/wrong": lambda: self._body(b"something else"),
            "/short": lambda: self._body(DATA[:100], length=len(DATA)),
            "/redirect": lambda: self._redirect("/good"),
            "/to-file": lambda: self._redirect("file:///etc/passwd"),
            "/to-https": lambda: self._redirect("https://127.0.0.1:1/x"),
            "/loop": lambda: self._redirect("/loop"),
            "/flaky": self._flaky,
            "/tree.nar": lambda: self._body(NAR),
            "/tree.nar.xz": lambda: self._body(lzma.compress(NAR)),
            "/not.xz": lambda: self._body(NAR),
            "/half.nar.xz": lambda: self._body(lzma.compress(NAR)[:-20]),
        }
        routes.get(self.path, lambda: self.send_error(404))()

    def _good(self) -> None:
        self._body(DATA)

    def _flaky(self) -> None:
        if type(self).failures:
            type(self).failures -= 1
            self.send_error(503)
        else:
            self._good()

    def _body(self, data: bytes, length: int | None = None) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(length or len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _redirect(self, to: str) -> None:
        self.send_response(302)
        self.send_header("Location", to)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    Handler.asked = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


def fetch(destination: Path, *urls: str, **changes: Any) -> int:
    arguments = {
        "urls": [(url, "") for url in urls],
        "hash": Hash.of("sha256", DATA).sri,
        "destination": str(destination),
        "report": f"{destination}.report",
        "executable": False,
        "unpack": False,
        "max_size": 0,
        "ca_file": "",
        "proxies": {},
    }
    return download.main({**arguments, **changes})


def test_fetches_and_checks(server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fetch(tmp_path / "out", server + "/good") == 0
    assert (tmp_path / "out").read_bytes() == DATA
    assert f"fetched {server}/good" in capsys.readouterr().out


def test_goes_on_to_the_next_mirror(server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fetch(tmp_path / "out", *(server + path for path in ("/missing", "/wrong", "/good"))) == 0
    assert (tmp_path / "out").read_bytes() == DATA
    said = capsys.readouterr().out
    assert "404" in said
    assert "hash mismatch" in said
    assert Handler.asked == ["/missing", "/wrong", "/good"]


def test_tries_again_when_it_may_help(server: str, tmp_path: Path) -> None:
    Handler.failures = 2
    assert fetch(tmp_path / "out", server + "/flaky") == 0
    assert Handler.asked == ["/flaky"] * 3


def test_redirects_only_to_http(server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fetch(tmp_path / "out", server + "/redirect") == 0
    assert fetch(tmp_path / "out2", server + "/to-file") == download.FAILED
    assert fetch(tmp_path / "out3", server + "/loop") == download.FAILED
    assert "root:" not in capsys.readouterr().out


def test_without_ssl_https_is_refused_by_name_and_http_works(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opener, "HAS_SSL", False)
    urls = ("https://127.0.0.1:1/x", f"{server}/to-https", f"{server}/good")
    assert fetch(tmp_path / "out", *urls) == 0
    assert (tmp_path / "out").read_bytes() == DATA
    assert capsys.readouterr().out.count("this Python lacks the module ssl") == 2


def test_incomplete_and_too_long_bodies_fail(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fetch(tmp_path / "out", server + "/short") == download.FAILED
    assert fetch(tmp_path / "out", server + "/good", max_size=1000) == download.FAILED
    assert "limit of 1000 bytes" in capsys.readouterr().out


def test_unreachable_mirror_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fetch(tmp_path / "out", "http://127.0.0.1:1/x") == download.FAILED
    said = capsys.readouterr().out
    assert "refused" in said
    assert "none of 1 URL(s) delivered the file" in said


def test_executable(server: str, tmp_path: Path) -> None:
    assert fetch(tmp_path / "out", server + "/good", executable=True, hash="") == 0
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("name", ["tree.nar", "tree.nar.xz"])
def test_archives_are_unpacked(server: str, tmp_path: Path, name: str) -> None:
    assert fetch(tmp_path / "out", f"{server}/{name}", unpack=True, hash="") == 0
    assert os.listdir(tmp_path) == ["out"]
    directory = os.open(tmp_path, os.O_RDONLY)
    try:
        assert b"".join(dump(directory, b"out")) == NAR
    finally:
        os.close(directory)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("good", ""),
        ("not.xz", "not an xz file"),
        ("half.nar.xz", "not an xz file"),
        ("tree.nar", "more than the limit"),
    ],
)
def test_what_is_no_archive(
    server: str, tmp_path: Path, name: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    limit = len(NAR) if name == "tree.nar" else 0
    assert (
        fetch(tmp_path / "out", f"{server}/{name}", unpack=True, hash="", max_size=limit and limit - 1) == 1
    )
    said = capsys.readouterr().out
    assert why in said or "longer than the limit" in said
    assert "none of 1 URL(s) delivered the file" in said


def test_a_planted_link_is_not_followed(server: str, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "out").symlink_to(victim)
    assert fetch(tmp_path / "out", server + "/good") == 0
    assert victim.read_text() == "mine"


def test_sources_are_found_by_hash(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"x")
    (tmp_path / "renamed").write_bytes(DATA)
    (tmp_path / "directory").mkdir()
    wanted = Hash("sha256", hashlib.sha256(DATA).digest())
    assert find_source(["/nowhere", str(tmp_path)], wanted, ["name"]) == str(tmp_path / "renamed")
    (tmp_path / "renamed").write_bytes(DATA + b"!")
    assert find_source([str(tmp_path)], wanted, ["renamed"]) is None
