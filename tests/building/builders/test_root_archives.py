"""The archives of which roots are made: formats, compressions, and what is refused of them."""

from __future__ import annotations

import lzma
import sys
from pathlib import Path
from typing import Any

import pytest

from fruix.building.builders import root_archives
from fruix.building.builders.root_archives import opened
from fruix.errors import FruixError
from root_pieces import COMPRESS, ar, deb, file, packed_deb, tarball

ZSTD = b"\x28\xb5\x2f\xfd"
TAR = tarball(file("usr/a", b"x" * 3000), file("usr/b", b"y" * 3000))
BINARY = ("debian-binary", b"2.0\n")


def names(tmp_path: Path, piece: bytes, kind: str = "deb") -> list[str]:
    """Of the members of a piece, the contents of which are read, as the tree does."""
    (tmp_path / "piece").write_bytes(piece)
    found = []
    with opened(str(tmp_path / "piece"), kind) as archive:
        for member in archive:
            if data := archive.extractfile(member):
                data.read()
            found.append(member.name)
    return found


@pytest.mark.parametrize("compression", list(COMPRESS))
@pytest.mark.parametrize("kind", ["deb", "tarball", "base-set"])
def test_compressions(tmp_path: Path, kind: str, compression: str) -> None:
    pack = deb if kind == "deb" else tarball
    assert names(tmp_path, pack(file("usr/a"), compression=compression), kind) == ["usr/a"]


def zstd() -> Any:
    """The library that Python has: one that doesn't come with it is among those of the tests."""
    name = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    return pytest.importorskip(name)


@pytest.mark.parametrize("kind", ["deb", "tarball", "base-set"])
def test_zstd_where_python_has_it(tmp_path: Path, kind: str) -> None:
    data = zstd().compress(TAR)
    piece = packed_deb(data, "data.tar.zst") if kind == "deb" else data
    assert names(tmp_path, piece, kind) == ["usr/a", "usr/b"]
    with pytest.raises(FruixError, match=r"can't be unpacked|ends early"):
        names(tmp_path, packed_deb(data[:-9]) if kind == "deb" else data[:-9], kind)


def test_a_bomb_of_zstd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(root_archives, "ALWAYS", 1 << 20)
    with pytest.raises(FruixError, match="unpacks to more than"):
        names(tmp_path, zstd().compress(tarball(file("usr/a", bytes(3 << 20)))), "tarball")


def test_zstd_where_python_lacks_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(root_archives, "zstd", None)
    with pytest.raises(FruixError, match="zstd, which this Python can't read") as caught:
        names(tmp_path, packed_deb(ZSTD, "data.tar.zst"))
    assert "'backports.zstd'" in caught.value.hint


@pytest.mark.parametrize("compression", [".xz", ".gz", ".bz2"])
@pytest.mark.parametrize("kind", ["deb", "tarball"])
def test_compressed_data_that_ends_early(tmp_path: Path, kind: str, compression: str) -> None:
    whole = COMPRESS[compression](TAR)
    for end in (10, len(whole) // 2, len(whole) - 1):
        with pytest.raises(FruixError, match="can't be unpacked"):
            names(tmp_path, packed_deb(whole[:end]) if kind == "deb" else whole[:end], kind)


@pytest.mark.parametrize("end", [0, 300, 512, 2000, 3584, 4096, 5000])
def test_tar_archives_that_end_early(tmp_path: Path, end: int) -> None:
    """Also where a member ends, which tarfile takes for the end."""
    with pytest.raises(FruixError, match=r"ends early|can't be unpacked"):
        names(tmp_path, COMPRESS[".xz"](TAR[:end]), "tarball")


def test_headers_that_are_none(tmp_path: Path) -> None:
    """Tarfile takes one for the end of the archive."""
    with pytest.raises(FruixError, match="there is no member at byte 3584"):
        names(tmp_path, TAR[:3584] + b"#" + TAR[3585:], "tarball")


@pytest.mark.parametrize(
    ("piece", "why"),
    [
        (b"", "doesn't begin as an ar archive"),
        (TAR, "doesn't begin as an ar archive"),
        (ar(), "no member data.tar"),
        (ar(BINARY, ("control.tar.xz", b"x")), "no member data.tar"),
        (ar(("data.tar", TAR)), "no Debian package of format 2"),
        (ar(("debian-binary", b"3.0\n"), ("data.tar", TAR)), "no Debian package of format 2"),
        (deb(file("usr/a"))[:-1], "ends early: within its member 'data.tar.xz'"),
        (deb(file("usr/a"))[:100], "ends early"),
        (ar(BINARY) + b"#" * 60, "a header in it is none"),
        (ar(BINARY) + f"{'data.tar':<48}{'-1':<10}`\n".encode(), "a header in it is none"),
        (ar(BINARY) + f"{'data.tar':<48}{'9' * 10}`\n".encode(), "ends early: within its member"),
        (packed_deb(b"neither tar nor compressed"), "can't be unpacked"),
    ],
    ids=range(12),
)
def test_debian_packages_that_are_none(tmp_path: Path, piece: bytes, why: str) -> None:
    with pytest.raises(FruixError, match=why):
        names(tmp_path, piece)


@pytest.mark.parametrize("compression", [".xz", ".gz", ".bz2"])
def test_an_archive_that_unpacks_to_too_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compression: str
) -> None:
    """Behind its last member, too; one that is small may always unpack to some."""
    zeros = tarball(file("usr/a", bytes(3 << 20)), compression=compression)
    assert names(tmp_path, zeros, "tarball") == ["usr/a"]
    monkeypatch.setattr(root_archives, "ALWAYS", 1 << 20)
    for bomb in (zeros, COMPRESS[compression](TAR + bytes(3 << 20))):
        with pytest.raises(FruixError, match=r"unpacks to more than .* bytes, 200 times its size"):
            names(tmp_path, bomb, "tarball")


def test_a_file_longer_than_the_archive(tmp_path: Path) -> None:
    member, contents = file("usr/a", b"x" * 512)
    whole = bytearray(tarball((member, contents)))
    member.size = 1 << 40
    whole[:512] = member.tobuf()
    with pytest.raises(FruixError, match="can't be unpacked"):
        names(tmp_path, bytes(whole), "tarball")


def test_several_streams_are_one_archive(tmp_path: Path) -> None:
    assert names(tmp_path, lzma.compress(TAR[:3000]) + lzma.compress(TAR[3000:]), "tarball") == [
        "usr/a",
        "usr/b",
    ]
