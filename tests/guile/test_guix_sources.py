"""Sources of host-built packages, by the real client: servers, mirrors, files, kept directories."""

from __future__ import annotations

import http.server
import io
import shutil
import ssl
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from guile.guix_client import ROOT, Guix, daemon
from machine import private_frx

NAMES = ("http", "https", "mirror", "file", "local", "kept")
CONFIGURE = """#!/bin/sh
cat > Makefile <<END
all check:
install:
	mkdir -p ${1#--prefix=}
	echo NAME > ${1#--prefix=}/from
END
"""


def write_archive(directory: Path, name: str) -> None:
    data = CONFIGURE.replace("NAME", name).encode()
    with tarfile.open(directory / f"{name}-1.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo(f"{name}-1/configure")
        member.size, member.mode = len(data), 0o755
        archive.addfile(member, io.BytesIO(data))


class Server(http.server.ThreadingHTTPServer):
    """One of files; keeps what it was asked for."""

    def __init__(self, directory: Path, secret: ssl.SSLContext | None = None) -> None:
        self.asked: list[str] = []

        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(handler, *arguments: object) -> None:  # noqa: N805
                super().__init__(*arguments, directory=str(directory))  # type: ignore[arg-type]

            def log_request(handler, *_: object) -> None:  # noqa: N805
                self.asked.append(handler.path)

        super().__init__(("127.0.0.1", 0), Handler)
        if secret:
            self.socket = secret.wrap_socket(self.socket, server_side=True)

    @contextmanager
    def running(self) -> Iterator[int]:
        """Its port."""
        thread = threading.Thread(target=self.serve_forever)
        thread.start()
        try:
            yield self.server_address[1]
        finally:
            self.shutdown()
            thread.join()
            self.server_close()


def certified(directory: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate for 127.0.0.1 that has to be trusted by name, and a server's use of it."""
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    words = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "36500",
        "-subj",
        "/CN=here",
    ]
    words += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(words, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return certificate, context


def test_sources_come_by_every_way_that_guix_names(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    archives, kept = tmp_path / "archives", tmp_path / "kept"
    archives.mkdir()
    kept.mkdir()
    for name in NAMES:
        write_archive(archives, name)
    shutil.copytree(archives, archives / "tiny")
    shutil.copy(archives / "kept-1.tar.gz", kept / "by another name")
    certificate, secret = certified(tmp_path)
    plain, secure = Server(archives), Server(archives, secret)
    guix = Guix(tmp_path / "home")
    with private_frx(), plain.running() as port, secure.running() as secure_port:
        settings = tmp_path / "fruix.toml"
        settings.write_text(
            f'loopback-ports = [{port}, {secure_port}]\n[mirrors]\ngnu = ["http://127.0.0.1:{port}/"]\n'
        )
        variables = {
            "FRUIX_CONF": str(settings),
            "SSL_CERT_FILE": str(certificate),
            "FRUIX_SOURCES": str(kept),
        }
        with daemon(**variables):
            built = guix.output(
                "fruix",
                "build",
                "-f",
                ROOT / "tests/guile/sources.scm",
                ARCHIVES=str(archives),
                HTTP=f"http://127.0.0.1:{port}",
                HTTPS=f"https://127.0.0.1:{secure_port}",
            ).splitlines()
        assert [Path(path, "from").read_text() for path in built] == [f"{name}\n" for name in NAMES]
    assert set(plain.asked) == {"/http-1.tar.gz", "/tiny/mirror-1.tar.gz"}
    assert set(secure.asked) == {"/https-1.tar.gz"}


def test_commits_are_fetched_by_the_daemon(tmp_path: Path) -> None:
    """The client leaves `git-fetch` to it, since it names that builder among its own."""
    tmp_path.chmod(0o755)
    work, files = tmp_path / "work", tmp_path / "files"
    work.mkdir()
    (work / "a file").write_text("contents\n")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
        subprocess.run([*git, *words], cwd=work, check=True)
    head = subprocess.check_output([*git, "rev-parse", "HEAD"], cwd=work, text=True).strip()
    subprocess.run([*git, "clone", "-q", "--bare", work, files / "thing.git"], check=True)
    subprocess.run([*git, "update-server-info"], cwd=files / "thing.git", check=True)
    shutil.rmtree(work / ".git")
    guix, server = Guix(tmp_path / "home"), Server(files)
    with private_frx(), server.running() as port:
        settings = tmp_path / "fruix.toml"
        settings.write_text(f"loopback-ports = [{port}]\n")
        with daemon(FRUIX_CONF=str(settings)):
            wanted = guix.output("hash", "-r", work).strip()
            built = guix.output(
                "build",
                "-f",
                ROOT / "tests/guile/commit.scm",
                URL=f"http://127.0.0.1:{port}/thing.git",
                COMMIT=head,
                HASH=wanted,
            ).strip()
        assert Path(built, "a file").read_text() == "contents\n"
