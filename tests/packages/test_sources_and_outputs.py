"""The phases that get at sources and finish outputs, run on their own as an ordinary user.

Kinds of archives, patches, odd modes and names.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import shutil
import stat
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from fruix.packages.build_systems.shared_phases import UNPACK
from packages.build_area import BuildArea

FILES = {"a file": b"one\n", "sub/line\nbreak": b"two\n", "-dash": b"three\n"}


def tar(top: str = "thing-1", modes: int = 0o644, mtime: int = 1_000_000_000) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in FILES.items():
            member = tarfile.TarInfo(f"{top}/{name}" if top else name)
            member.size, member.mode, member.mtime = len(data), modes, mtime
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def oldest_tar() -> bytes:
    """Without the magic number: as the seventh edition of Unix wrote it."""
    data = bytearray(tar())
    for offset in range(0, len(data), 512):
        if data[offset + 257 : offset + 262] == b"ustar":
            data[offset + 257 : offset + 265] = bytes(8)
            checksum = sum(data[offset : offset + 512]) - sum(data[offset + 148 : offset + 156]) + 8 * 32
            data[offset + 148 : offset + 156] = b"%06o\0 " % checksum
    return bytes(data)


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in FILES.items():
            archive.writestr(f"thing-1/{name}", data)
    return buffer.getvalue()


def by(*words: str) -> Callable[[bytes], bytes]:
    return lambda data: subprocess.run(words, input=data, capture_output=True, check=True).stdout


def gem(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, part in (("metadata.gz", b""), ("data.tar.gz", data), ("checksums.yaml.gz", b"")):
            member = tarfile.TarInfo(name)
            member.size = len(part)
            archive.addfile(member, io.BytesIO(part))
    return buffer.getvalue()


def lzma_alone(data: bytes) -> bytes:
    return lzma.compress(data, format=lzma.FORMAT_ALONE)


COMPRESSED: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lzma_alone,
    "zst": by("zstd", "-c"),
    "lz": by("lzip", "-c"),
}
ENDINGS = {"tgz": "gz", "tbz": "bz2", "tbz2": "bz2", "txz": "xz", "tlz": "lz", "tzst": "zst", "crate": "gz"}


def unpack(
    area: BuildArea, name: str, data: bytes, *, tools: bool = True
) -> subprocess.CompletedProcess[str]:
    area.source(name).write_bytes(data)
    phase = ("unpack", UNPACK if tools else f"PATH=$NIX_BUILD_TOP/few\n{UNPACK}")
    return area.run(phase, ("look", "{ set +x; } 2>/dev/null\npwd; find . -type f"))


def contents(area: BuildArea) -> dict[str, bytes]:
    top = area.build / "source"
    return {str(path.relative_to(top)): path.read_bytes() for path in top.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", COMPRESSED)
@pytest.mark.parametrize("name", ["thing-1.tar.{}", "thing-1", "v1.0", "thing.png"])
def test_archives_are_known_by_their_bytes(area: BuildArea, kind: str, name: str) -> None:
    done = unpack(area, name.format(kind), COMPRESSED[kind](tar()))
    assert done.returncode == 0, done.stdout
    assert contents(area) == FILES


@pytest.mark.parametrize("name", ["thing-1.tar", "thing-1", "x.tar.gz"])
@pytest.mark.parametrize("make", [tar, oldest_tar])
def test_plain_archives(area: BuildArea, name: str, make: Callable[[], bytes]) -> None:
    done = unpack(area, name, make())
    if make is oldest_tar and name == "thing-1":  # nothing tells what it is
        assert contents(area) == {"thing-1": oldest_tar()}
    else:
        assert done.returncode == 0, done.stdout
        assert contents(area) == FILES


@pytest.mark.parametrize("ending", ENDINGS)
def test_endings(area: BuildArea, ending: str) -> None:
    done = unpack(area, f"thing-1.{ending}", COMPRESSED[ENDINGS[ending]](tar()))
    assert done.returncode == 0, done.stdout
    assert contents(area) == FILES


@pytest.mark.parametrize("name", ["thing-1.zip", "thing-1", "thing.whl"])
def test_zip(area: BuildArea, name: str) -> None:
    done = unpack(area, name, zipped())
    assert done.returncode == 0, done.stdout
    found = contents(area)
    assert found.pop("sub/linebreak") == b"two\n"  # unzip's own way with such names
    assert found.items() <= FILES.items()


def test_gems(area: BuildArea) -> None:
    done = unpack(area, "thing-1.gem", gem(gzip.compress(tar(top=""))))
    assert done.returncode == 0, done.stdout
    assert contents(area) == FILES


def test_what_is_no_archive_is_kept_as_it_is(area: BuildArea) -> None:
    for name, data in (("hello.sh", b"#!/bin/sh\n"), ("data.gz", gzip.compress(b"data")), ("empty", b"")):
        done = unpack(area, name, data)
        assert done.returncode == 0, done.stdout
        assert contents(area) == {name: data}
        shutil.rmtree(area.build / "source")


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("thing-1.tar.gz", gzip.compress(b"no archive"), "there is no tar archive in it"),
        ("thing-1.tar.gz", b"<html>not found</html>", "its first bytes are those of none that is known"),
        ("thing-1.zip", b"", "its first bytes are those of none that is known"),
        ("thing-1.7z", b"PK", "its first bytes are those of none that is known"),
    ],
)
def test_what_is_no_archive_but_called_one_is_refused(
    area: BuildArea, name: str, data: bytes, why: str
) -> None:
    done = unpack(area, name, data)
    assert done.returncode == 1
    assert f"unpack: {name} is called an archive, but {why}" in done.stdout
    assert done.stdout.endswith("phase unpack failed with status 1\n")


@pytest.mark.parametrize(
    ("name", "data", "what", "tool"),
    [
        ("thing-1.tar.lz", COMPRESSED["lz"](tar()), "compressed by lzip",
         'lzip (native_inputs=[find("lzip")]'),
        ("thing-1.tar.zst", COMPRESSED["zst"](tar()), "compressed by zstd", "zstd"),
        ("thing-1.zip", zipped(), "a ZIP archive", "unzip"),
        ("thing-1.7z", b"7z\xbc\xaf\x27\x1c--", "a 7z archive", "bsdtar"),
    ],
)  # fmt: skip
def test_a_tool_that_lacks_is_named(area: BuildArea, name: str, data: bytes, what: str, tool: str) -> None:
    few = area.build / "few"
    few.mkdir()
    for present in (
        "od",
        "tr",
        "mkdir",
        "cat",
        "tar",
        "touch",
        "rm",
        "grep",
        "chmod",
        "mv",
        "cp",
        "find",
        "sort",
        "sed",
        "tail",
        "sh",
    ):
        (few / present).symlink_to(shutil.which(present) or "")
    done = unpack(area, name, data, tools=False)
    assert done.returncode == 1
    why = f"{what}, and none of the tools here reads that: it takes {tool}"
    assert f"unpack: {name} is {why}" in done.stdout


def modes(top: Path) -> set[str]:
    found = [top, *top.rglob("*")]
    return {stat.filemode(path.lstat().st_mode) for path in found if not path.is_symlink()}


@pytest.mark.parametrize("mode", [0o000, 0o400, 0o6777, 0o111])
def test_foreign_modes_are_normalised(area: BuildArea, mode: int) -> None:
    done = unpack(area, "thing.tar", tar(modes=mode))
    assert done.returncode == 0, done.stdout
    assert contents(area) == FILES
    assert modes(area.build / "source") == {"drwxr-xr-x", "-rwxr-xr-x" if mode & 0o111 else "-rw-r--r--"}


def test_directories_that_nobody_may_read(area: BuildArea) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, kind in (
            ("thing", tarfile.DIRTYPE),
            ("thing/in", tarfile.DIRTYPE),
            ("thing/in/file", tarfile.REGTYPE),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.mode = kind, 0
            archive.addfile(member)
    done = unpack(area, "thing.tar", buffer.getvalue())
    assert done.returncode == 0, done.stdout
    assert contents(area) == {"in/file": b""}


def test_a_directory_is_copied(area: BuildArea) -> None:
    source = area.source("src")
    (source / "sub").mkdir(parents=True)
    (source / "sub" / "file").write_text("x")
    (source / "link").symlink_to("nowhere")
    for path in (source / "sub" / "file", source / "sub", source):
        path.chmod(0o444 if path.is_file() else 0o555)
    done = area.run(("unpack", UNPACK))
    assert done.returncode == 0, done.stdout
    top = area.build / "source"
    assert modes(top) == {"drwxr-xr-x", "-rw-r--r--"}
    assert os.readlink(top / "link") == "nowhere"
    assert {path.lstat().st_mtime for path in (top, *top.rglob("*"))} == {
        315619200
    }  # 1980: one time for all, so that make sees no file as newer


def test_nothing_is_from_before_1980(area: BuildArea) -> None:
    unpack(area, "old.tar", tar(mtime=1))
    assert {path.stat().st_mtime for path in (area.build / "source").rglob("*") if path.is_file()} == {
        315619200
    }
    for name in ("source", "unpacked"):
        shutil.rmtree(area.build / name)
    unpack(area, "new.tar", tar(mtime=1_000_000_000))
    assert {path.stat().st_mtime for path in (area.build / "source").rglob("*") if path.is_file()} == {
        1_000_000_000
    }
