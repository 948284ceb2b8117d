"""Pieces of roots, made for tests: Debian packages and tarballs of a few small members."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
from collections.abc import Callable, Mapping

COMPRESS: Mapping[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".xz": lzma.compress,
    ".gz": lambda data: gzip.compress(data, mtime=0),
    ".bz2": bz2.compress,
}

Member = tarfile.TarInfo | tuple[tarfile.TarInfo, bytes]


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, target, mode
    return info


def file(name: str, data: bytes = b"x", mode: int = 0o644) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, mode=mode), data


def link(name: str, target: str) -> tarfile.TarInfo:
    return member(name, tarfile.SYMTYPE, target)


def hard(name: str, target: str) -> tarfile.TarInfo:
    return member(name, tarfile.LNKTYPE, target)


def directory(name: str) -> tarfile.TarInfo:
    return member(name, tarfile.DIRTYPE, mode=0o755)


def tarball(*members: Member, compression: str = "") -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for one in members:
            info, contents = one if isinstance(one, tuple) else (one, b"")
            info.size = len(contents)
            archive.addfile(info, io.BytesIO(contents))
    return COMPRESS[compression](data.getvalue())


def ar(*members: tuple[str, bytes]) -> bytes:
    """An archive as ar(5) has it; contents of odd length are followed by a line feed."""
    rows = [
        f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode()
        + data
        + b"\n" * (len(data) % 2)
        for name, data in members
    ]
    return b"!<arch>\n" + b"".join(rows)


def deb(*members: Member, compression: str = ".xz") -> bytes:
    return packed_deb(tarball(*members, compression=compression), f"data.tar{compression}")


def packed_deb(data: bytes, name: str = "data.tar.xz") -> bytes:
    control = tarball(
        file("./control", b"Package: x\n"), file("./postinst", b"exit 1", 0o755), compression=".xz"
    )
    return ar(("debian-binary", b"2.0\n"), ("control.tar.xz", control), (name, data))


# The file of a root of FreeBSD's sets, which are written down in the place of PIECES.
FREEBSD_ROOT = """
name = "freebsd"
suite = "14.1-RELEASE"
[wanted]
base = []
[systems.x86_64-freebsd]
architecture = "amd64"
loader = "libexec/ld-elf.so.1"
library_path = ["lib", "usr/lib"]
[archives]
x86_64-freebsd = [
PIECES
]
"""
