"""Binary caches for tests: made by hand, signed, in both worlds' forms, and a server that counts."""

from __future__ import annotations

import base64
import functools
import gzip
import hashlib
import http.server
import lzma
import socketserver
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fruix.model.named_keys import SecretKey
from fruix.model.pathinfo import PathInfo
from fruix.model.sexp import Sexp
from fruix.signing import path_signatures
from fruix.signing.export_signatures import sign as sign_digest

KEY = path_signatures.generate("test-1", b"\1" * 32)
OTHER_KEY = path_signatures.generate("other-1", b"\2" * 32)

Packed = tuple[str, str, bytes]  # compression, ending of the name, bytes


def as_gzip(archive: bytes) -> Packed:
    return "gzip", ".gz", gzip.compress(archive, mtime=0)


def as_xz(archive: bytes) -> Packed:
    return "xz", ".xz", lzma.compress(archive)


def plain(archive: bytes) -> Packed:
    return "none", "", archive


@dataclass
class Cache:
    """A directory as `nix copy --to file://` makes it."""

    directory: Path
    store: str = "/frx/store"

    def __post_init__(self) -> None:
        (self.directory / "nar").mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o755)
        (self.directory / "nix-cache-info").write_text(f"StoreDir: {self.store}\nPriority: 40\n")

    @property
    def url(self) -> str:
        return f"file://{self.directory}"

    def narinfo(self, info: PathInfo) -> Path:
        return self.directory / f"{info.path.hash_part}.narinfo"

    def archive(self, info: PathInfo) -> Path:
        lines = self.narinfo(info).read_text().splitlines()
        return self.directory / next(line[5:] for line in lines if line.startswith("URL: "))

    def add(
        self,
        info: PathInfo,
        archive: bytes,
        pack: Callable[[bytes], Packed] = as_gzip,
        key: SecretKey | None = KEY,
    ) -> None:
        """Offer a path, signed in Nix's way."""
        compression, ending, packed = pack(archive)
        name = f"nar/{info.path.base}{ending}"
        (self.directory / name).write_bytes(packed)
        lines = [
            *_head(info),
            f"URL: {name}",
            f"Compression: {compression}",
            f"FileHash: sha256:{hashlib.sha256(packed).hexdigest()}",
            f"FileSize: {len(packed)}",
        ]
        if key is not None:
            lines.append(f"Sig: {path_signatures.sign(info, key)}")
        self.narinfo(info).write_text("".join(f"{line}\n" for line in lines))

    def add_as_guix(
        self, info: PathInfo, archive: bytes, packs: Sequence[Callable[[bytes], Packed]], key: Sexp
    ) -> None:
        """Offer a path as `guix publish` does: several archives, signed over the lines before."""
        head = "".join(f"{line}\n" for line in _head(info))
        signature = sign_digest(hashlib.sha256(head.encode()).digest(), key)
        lines = [f"Signature: 1;host;{base64.b64encode(signature.encode()).decode()}"]
        for pack in packs:
            compression, ending, packed = pack(archive)
            name = f"nar/{compression}/{info.path.base}{ending}"
            (self.directory / name).parent.mkdir(exist_ok=True)
            (self.directory / name).write_bytes(packed)
            lines += [f"URL: {name}", f"Compression: {compression}", f"FileSize: {len(packed)}"]
        self.narinfo(info).write_text(head + "".join(f"{line}\n" for line in lines))


def _head(info: PathInfo) -> list[str]:
    references = " ".join(path.base for path in info.references)
    lines = [
        f"StorePath: {info.path}",
        f"NarHash: {info.nar_hash.prefixed}",
        f"NarSize: {info.nar_size}",
        f"References: {references}",
    ]
    return [*lines, f"Deriver: {info.deriver.base}"] if info.deriver else lines


@dataclass
class Served:
    """A server of a directory; `asked`: paths of requests so far; `answers`: made-up ones, by path."""

    url: str
    asked: list[str] = field(default_factory=list)
    answers: dict[str, Callable[[http.server.BaseHTTPRequestHandler], None]] = field(default_factory=dict)


@contextmanager
def serve(directory: Path, address: str) -> Iterator[Served]:
    """Serve a directory on `address`."""
    served = Served("")

    class Handler(http.server.SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            served.asked.append(self.path)
            if (answer := served.answers.get(self.path)) is not None:
                answer(self)
                self.close_connection = True
            else:
                super().do_GET()

        def log_message(self, *_: Any) -> None:
            pass

    # Not the HTTP server's own class, which asks for the name of its address.
    server = socketserver.ThreadingTCPServer(
        (address, 0), functools.partial(Handler, directory=str(directory))
    )
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    served.url = f"http://{address}:{server.server_address[1]}"
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
