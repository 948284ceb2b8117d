"""Every compression against the program that makes it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator

import pytest

from fruix.downloads.opener import GiveUpOnMirrorError
from fruix.errors import FormatError
from fruix.substitutes import compression
from fruix.substitutes.compression import decompressed, why_unreadable

PROGRAMS = {
    "gzip": ["gzip"],
    "bzip2": ["bzip2"],
    "xz": ["xz"],
    "lzma": ["xz", "--format=lzma"],
    "lzip": ["lzip"],
    "zstd": ["zstd", "-q"],
}
SAMPLES = {
    "empty": b"",
    "text": b"a line\n" * 100,
    "random": os.urandom(3) * 20_000 + os.urandom(100_000),
    "zeros": bytes(10_000_000),
}


def packed(name: str, data: bytes) -> bytes:
    return subprocess.run([*PROGRAMS[name], "-c"], input=data, capture_output=True, check=True).stdout


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize("name", PROGRAMS)
def test_what_the_programs_write(name: str, sample: str) -> None:
    data = SAMPLES[sample]
    file = packed(name, data)
    for size in (1, 13, 1 << 16) if len(file) < 2000 else (1 << 10, 1 << 16):
        found = list(decompressed(pieces(file, size), name))
        assert b"".join(found) == data
        assert max(map(len, found), default=0) <= compression.PIECE, "nothing big is in memory"
    assert b"".join(decompressed([file + file], name)) == data * 2, "of several members"


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_is_damaged(name: str) -> None:
    file = packed(name, SAMPLES["text"])
    for bad in (b"", b"no such file", file[:-1], file[: len(file) // 2], file[:-6] + b"\1" * 6):
        with pytest.raises(FormatError):
            list(decompressed([bad], name))


def test_errors_of_the_network_pass_through() -> None:
    def broken() -> Iterable[bytes]:
        yield packed("gzip", SAMPLES["text"])[:30]
        raise TimeoutError("timed out")

    with pytest.raises(TimeoutError):
        list(decompressed(broken(), "gzip"))


def test_none_and_unknown_ones() -> None:
    assert list(decompressed([b"a", b"b"], "none")) == [b"a", b"b"]
    assert why_unreadable("none") == ""
    assert "only bzip2, gzip, lzip, lzma, none, xz, zstd can be read" in why_unreadable("br")
    with pytest.raises(GiveUpOnMirrorError, match="compression 'br'"):
        list(decompressed([b""], "br"))


def test_what_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "_MISSING", {"lzma", "bz2"})
    monkeypatch.setitem(compression._KNOWN, "zstd", "libzstd is needed")
    assert "the module lzma is needed" in why_unreadable("lzip")
    assert "the module bz2 is needed" in why_unreadable("bzip2")
    assert why_unreadable("zstd") == "compression 'zstd': libzstd is needed"
