"""Commits that no repository gives any more, from an archive with Software Heritage's interface."""

from __future__ import annotations

import http.server
import io
import json
import subprocess
import sys
import tarfile
import threading
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

import network_rig as rig
from building.builders.repositories import add_download, expected, git, served_repository
from fruix.building.settings import BuildSettings
from fruix.model.hashes import Hash
from machine import Machine, machine

OTHER = Hash("sha256", bytes(32))
COMMIT, TREE = "c" * 40, f"swh:1:dir:{'7' * 40}"
REVISION = f"/api/1/revision/{COMMIT}/"
KNOWN = {REVISION: {"directory": "7" * 40}}
_MAIN = """
import json, sys
from fruix.building.builders.source_archive import main
sys.exit(main(json.loads(sys.argv[1])))
"""


class FakeArchive:
    """Answers by path; a tree is packed when it has been asked for, at the second question for it."""

    def __init__(self, answers: Mapping[str, Any], packed: bytes, outcome: str) -> None:
        self.answers, self.packed, self.outcome = answers, packed, outcome
        self.asked: list[str] = []
        self.states: dict[str, list[str]] = {}

    def answer(self, method: str, path: str) -> tuple[int, bytes]:
        self.asked.append(f"{method} {path}")
        if path.endswith("/raw/"):
            return 200, self.packed
        if path.startswith("/api/1/vault/flat/"):
            if method == "POST":
                self.states[path] = ["new", "pending", self.outcome]
            states = self.states.get(path)
            if not states:
                return 404, b"{}"
            state = {"status": states[0], "progress_message": f"it is {states[0]}"}
            del states[: len(states) > 1]
            return 200, json.dumps(state).encode()
        if path not in self.answers:
            return 404, b"{}"
        answer = self.answers[path]
        return 200, answer if isinstance(answer, bytes) else json.dumps(answer).encode()


@contextmanager
def served(archive: FakeArchive, host: str = rig.HOST) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(unquote(self.path))
            code, body = archive.answer(self.command, parts.path)
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - the library's name

        def log_message(self, *_words: object) -> None:
            pass

    with http.server.ThreadingHTTPServer((host, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://{host}:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


class Scene:
    """A repository, whose server has gone, and what the archive knows of it."""

    def __init__(self, tmp_path: Path, url: str, commit: str) -> None:
        self.commit, self.gone = commit, f"{url}.gone"
        self.wanted = expected(tmp_path, commit)
        work = tmp_path / "work"
        self.tree = f"swh:1:dir:{git(work, 'rev-parse', f'{commit}^{{tree}}')}"
        command = ["git", "archive", f"--prefix={self.tree}/", "--format=tar.gz", commit]
        self.packed = subprocess.check_output(command, cwd=work)
        digest = urlsafe_b64encode(self.wanted.digest).decode().rstrip("=")
        self.by_hash = {f"/api/1/extid/nar-sha256/base64url:{digest}/": {"target": self.tree}}
        self.by_commit = {f"/api/1/revision/{commit}/": {"directory": self.tree.rpartition(":")[2]}}
        self.by_tag = {
            f"/api/1/origin/{self.gone}/visit/latest/": {"snapshot": "5" * 40},
            f"/api/1/snapshot/{'5' * 40}/": {
                "branches": {"refs/tags/v1": {"target_type": "release", "target": "6" * 40}}
            },
            f"/api/1/release/{'6' * 40}/": {"target_type": "revision", "target": commit},
            **self.by_commit,
        }

    @contextmanager
    def archive(self, answers: Mapping[str, Any]) -> Iterator[tuple[FakeArchive, Machine]]:
        fake = FakeArchive(answers, self.packed, "done")
        with (
            served(fake) as address,
            machine(BuildSettings(fixed_output_network="pasta", source_archive=address)) as here,
        ):
            yield fake, here


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with served_repository(tmp_path) as (url, commits):
        yield Scene(tmp_path, url, commits[0])


@pytest.mark.parametrize(
    ("known", "name"), [("by_hash", ""), ("by_hash", "v1"), ("by_commit", ""), ("by_tag", "v1")]
)
def test_what_no_url_gives_comes_from_the_archive(scene: Scene, known: str, name: str) -> None:
    with scene.archive(getattr(scene, known)) as (fake, here):
        drv = add_download(here, name or scene.commit, scene.wanted, f'"{scene.gone}"')
        (result,) = here.build(drv)
        assert result.success, result.message + here.log(drv)
        assert (here.output(drv) / "sub/a file").read_text() == "0\n"
        log = here.log(drv)
        assert log.index("none of 1 URL(s) gave the commit") < log.index("asking the archive http://")
        assert log.count(f"packs {scene.tree}: it is new") == 1
        assert f"GET /api/1/vault/flat/{scene.tree}/raw/" in fake.asked


def test_the_archive_is_not_asked_for_what_a_url_gives(scene: Scene) -> None:
    with scene.archive(scene.by_hash) as (fake, here):
        url = scene.gone.removesuffix(".gone")
        (result,) = here.build(add_download(here, scene.commit, scene.wanted, f'("{scene.gone}" "{url}")'))
        assert result.success, result.message
        assert fake.asked == []


def test_what_the_archive_lacks(scene: Scene) -> None:
    with scene.archive({}) as (_, here):
        for name in (scene.commit, "v1"):
            drv = add_download(here, name, scene.wanted, f'"{scene.gone}"')
            (result,) = here.build(drv)
            assert not result.success
            assert f"it has no commit {name}" in here.log(drv)


def _tarball(*members: tuple[str, str]) -> bytes:
    """Files (a name and its contents), or links (`->` before the target)."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name, contents in members:
            member = tarfile.TarInfo(name)
            if contents.startswith("->"):
                member.type, member.linkname = tarfile.SYMTYPE, contents[2:]
            data = b"" if member.issym() else contents.encode()
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return made.getvalue()


def _asked(fake: FakeArchive, directory: Path, max_size: int = 0) -> str:
    """What it prints that asks the archive, and fails."""
    with served(fake, "127.0.0.1") as address:
        arguments = {
            "git": ["/bin/false", ["false"], {}],
            "archive": address,
            "urls": ["http://gone.example/a"],
            "commit": COMMIT,
            "nar_sha256": "0" * 64,
            "directory": str(directory),
            "out": str(directory / "out"),
            "max_size": max_size,
            "ca_file": "",
            "proxies": {},
        }
        words = [sys.executable, "-c", _MAIN, json.dumps(arguments)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert not (directory / "out").exists()
    return done.stdout


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"<html>", "its answer is no JSON"),
        (b"[]", "its answer is no JSON object"),
        (b"{" + b" " * (9 << 20), "its answer is longer than 8388608 bytes"),
        ({"directory": "../../x"}, "it has no commit"),
    ],
)
def test_answers_of_no_use_are_named(tmp_path: Path, answer: Any, why: str) -> None:
    assert why in _asked(FakeArchive({REVISION: answer}, b"", "done"), tmp_path)


@pytest.mark.parametrize(
    ("packed", "why"),
    [
        (b"no archive", "not a gzip file"),
        (_tarball((f"{TREE}/file", "x" * 9999))[:60], "Compressed file ended"),
        (_tarball(("other/file", "x")), f"does not hold {TREE} alone"),
        (_tarball(("../escaped", "x")), "outside the destination"),
        (_tarball((f"{TREE}/link", "->/etc"), (f"{TREE}/link/file", "x")), "outside the destination"),
    ],
)
def test_bad_archives_are_named(tmp_path: Path, packed: bytes, why: str) -> None:
    assert why in _asked(FakeArchive(KNOWN, packed, "done"), tmp_path)
    assert not (tmp_path.parent / "escaped").exists()


def test_what_can_t_be_packed_or_is_too_long_is_not_taken(tmp_path: Path) -> None:
    for fake, why in (
        (FakeArchive(KNOWN, b"", "failed"), f"it can't pack {TREE}: it is failed"),
        (FakeArchive(KNOWN, b"x" * 200, "done"), "longer than the limit of 100 bytes"),
    ):
        assert why in _asked(fake, tmp_path, 100)


def test_other_contents_than_declared_are_refused(scene: Scene) -> None:
    with scene.archive(scene.by_commit) as (_, here):
        (result,) = here.build(add_download(here, scene.commit, OTHER, f'"{scene.gone}"'))
        assert not result.success
        assert any(
            text in result.message for text in (scene.wanted.base16, scene.wanted.sri, scene.wanted.nix32)
        )


def test_an_archive_of_this_machine_needs_its_port_listed() -> None:
    settings = BuildSettings(fixed_output_network="pasta", source_archive="http://localhost:9")
    with machine(settings) as here:
        (result,) = here.build(add_download(here, "a" * 40, OTHER, '"http://somewhere.example/a"'))
        assert not result.success
        assert "at port 9, which the daemon's setting 'loopback-ports' doesn't list" in result.message
