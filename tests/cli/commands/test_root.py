"""`fruix root`: new pins from a small archive, shown and compared."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from debian_archive import DATE, Key, new_key, paragraph, write_suite
from fruix.cli.command_line import main
from fruix.packages.roots.pins import MARK, read

WRITTEN = """# Written by hand.
name = "small"
suite = "stable"
without = ["configuration"]
[wanted]
base = ["cc"]  # and what it needs
runtime = ["libc"]
"+perl" = ["perl"]
[links.base]
"usr/bin/awk" = "mawk"
[systems.x86_64-linux]
architecture = "amd64"
loader = "usr/lib/ld.so"
library_path = ["usr/lib"]
[systems.aarch64-linux]
architecture = "arm64"
loader = "usr/lib/ld.so"
library_path = ["usr/lib"]

"""


def packages(libc: str = "2.36-9", *more: str, perl: str = "5.36", database: str = "libdb") -> dict[str, str]:
    """The texts of `Packages`: a compiler, its library, and Perl."""
    return {
        architecture: "\n".join(
            (
                paragraph("cc", "4:12", architecture, depends="libc (>= 2.36), configuration"),
                paragraph("libc", libc, architecture),
                paragraph("perl", perl, architecture, depends=f"libc, {database}"),
                paragraph("libdb", "5", architecture),
                *(paragraph(name, "1", architecture) for name in more),
            )
        )
        for architecture in ("amd64", "arm64")
    }


@pytest.fixture(scope="module")
def key() -> Iterator[Key]:
    with new_key() as key:
        yield key


@pytest.fixture
def pins(tmp_path: Path) -> Path:
    file = tmp_path / "small.toml"
    file.write_text(WRITTEN)
    return file


def update(pins: Path, archive: Path, *more: str) -> int:
    return main(["root", "update", str(pins), "--mirror", f"file://{archive}", *more])


def test_an_update_pins_what_the_archive_has(
    tmp_path: Path, pins: Path, key: Key, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = write_suite(tmp_path / "archive", packages(), key.sign)
    assert update(pins, archive, "--keyring", str(key.keyring)) == 0
    assert capsys.readouterr().out == (
        "+ cc 4:12 (base)\n+ libc 2.36-9 (base runtime)\n+ libdb 5 (+perl)\n+ perl 5.36 (+perl)\n"
        f"4 changes\n{pins}: stable of {DATE}\n"
    )
    new = read(str(pins))
    assert new.written == WRITTEN
    assert new.release["snapshot"] == "20260801T220000Z"
    assert [(piece.name, piece.groups) for piece in new.pieces["aarch64-linux"]] == [
        ("cc", ("base",)),
        ("libc", ("base", "runtime")),
        ("libdb", ("+perl",)),
        ("perl", ("+perl",)),
    ]
    (libc,) = (piece for piece in new.pieces["x86_64-linux"] if piece.name == "libc")
    assert libc.path == "pool/main/l/libc/libc_2.36-9_amd64.deb"


def test_an_update_without_change_writes_the_same_bytes(tmp_path: Path, pins: Path, key: Key) -> None:
    archive = write_suite(tmp_path / "archive", packages(), key.sign)
    update(pins, archive, "--keyring", str(key.keyring))
    before = pins.read_bytes()
    other = tmp_path / "other.toml"
    assert update(pins, archive, "--keyring", str(key.keyring), "-o", str(other)) == 0
    assert other.read_bytes() == pins.read_bytes() == before


def test_an_archive_that_nobody_signed(
    tmp_path: Path, pins: Path, key: Key, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = write_suite(tmp_path / "archive", packages(), str.encode)
    assert update(pins, archive, "--keyring", str(key.keyring)) == 2
    assert "'--insecure' takes it all the same" in capsys.readouterr().err
    assert pins.read_text() == WRITTEN
    assert update(pins, archive, "--insecure") == 0
    assert read(str(pins)).pieces


def test_an_archive_that_is_older_than_the_pins(
    tmp_path: Path, pins: Path, key: Key, capsys: pytest.CaptureFixture[str]
) -> None:
    """As someone on the way may serve, to have an old fault back."""
    trusted = ("--keyring", str(key.keyring))
    update(pins, write_suite(tmp_path / "new", packages("2.36-10"), key.sign), *trusted)
    before = pins.read_bytes()
    older = write_suite(tmp_path / "old", packages(), key.sign, date="Fri, 31 Jul 2026 10:00:00 UTC")
    assert update(pins, older, *trusted) == 2
    assert "older than the pins" in capsys.readouterr().err
    assert pins.read_bytes() == before
    assert update(pins, older, "--insecure") == 0


def test_a_dependency_that_nothing_satisfies_leaves_the_file_alone(
    tmp_path: Path, pins: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = write_suite(tmp_path / "archive", packages("2.35-1"), str.encode)
    assert update(pins, archive, "--insecure") == 2
    assert "satisfies 'libc (>= 2.36)'" in capsys.readouterr().err
    assert pins.read_text() == WRITTEN
    assert sorted(os.listdir(tmp_path)) == ["archive", "small.toml"]


def test_a_file_that_cannot_be_written(
    tmp_path: Path, pins: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = write_suite(tmp_path / "archive", packages(), str.encode)
    assert update(pins, archive, "--insecure", "-o", str(tmp_path / "none" / "x.toml")) == 2
    assert "-o FILE" in capsys.readouterr().err


def test_without_the_library(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['debian'] = None\n"
        "from fruix.cli.command_line import main; sys.exit(main(['root', 'update']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, "pip install 'fruix[roots]'" in done.stderr) == (2, True)


def test_what_changed(tmp_path: Path, pins: Path, capsys: pytest.CaptureFixture[str]) -> None:
    update(pins, write_suite(tmp_path / "a", packages(), str.encode), "--insecure")
    newer = tmp_path / "newer.toml"
    other = packages("2.36-10", "libgdbm", perl="5.38", database="libgdbm")
    other["arm64"] = packages()["arm64"]
    update(pins, write_suite(tmp_path / "b", other, str.encode), "--insecure", "-o", str(newer))
    capsys.readouterr()
    assert main(["root", "diff", str(pins), str(newer)]) == 0
    assert capsys.readouterr().out == (
        "~ libc 2.36-9 → 2.36-10 (base runtime, x86_64-linux)\n"
        "- libdb 5 (+perl, x86_64-linux)\n"
        "+ libgdbm 1 (+perl, x86_64-linux)\n"
        "~ perl 5.36 → 5.38 (+perl, x86_64-linux)\n"
        "4 changes\n"
    )
    assert main(["root", "diff", "--json", str(pins), str(newer)]) == 0
    changes = json.loads(capsys.readouterr().out)["changes"]
    assert changes[0] == {
        "system": "x86_64-linux",
        "name": "libc",
        "old": "2.36-9",
        "new": "2.36-10",
        "groups": ["base", "runtime"],
    }
    assert main(["root", "diff", str(pins), str(pins)]) == 0
    assert capsys.readouterr().out == "no piece changed\n"


def test_what_is_shown(tmp_path: Path, pins: Path, capsys: pytest.CaptureFixture[str]) -> None:
    update(pins, write_suite(tmp_path / "archive", packages(), str.encode), "--insecure")
    capsys.readouterr()
    assert main(["root", "show", str(pins), "--system", "aarch64-linux"]) == 0
    assert capsys.readouterr().out == (
        f"small: stable of {DATE}, for aarch64-linux\n"
        "base: 2 pieces, 2.0 KiB\n  cc    4:12\n  libc  2.36-9\n"
        "runtime: 1 piece, 1.0 KiB\n  libc  2.36-9\n"
        "+perl: 2 pieces, 2.0 KiB\n  libdb  5\n  perl   5.36\n"
    )
    assert main(["root", "show", str(pins), "--system", "vax-vms"]) == 2
    assert "it has: x86_64-linux, aarch64-linux" in capsys.readouterr().err
    assert main(["root", "show", str(pins), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["pieces"] == tomllib.loads(pins.read_text().partition(MARK)[2])["pinned"]["pieces"]


ARCHIVE = """
[archives]
x86_64-linux = [
    {name = "set", version = "1", kind = "tarball", urls = ["file:///set"], sha256 = "%s", groups = ["base"]},
]
"""


def test_pieces_that_people_wrote_down(
    tmp_path: Path, pins: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are shown and compared like others, and no update is asked for where there is nothing else."""
    files = [tmp_path / "old.toml", tmp_path / "new.toml"]
    for file, digit in zip(files, "01", strict=True):
        file.write_text(WRITTEN + ARCHIVE % (digit * 64))
    assert main(["root", "diff", *map(str, files)]) == 0
    assert capsys.readouterr().out == "~ set 1 (base, x86_64-linux)\n1 change\n"
    assert main(["root", "show", str(files[0]), "--system", "x86_64-linux"]) == 0
    assert "base: 1 piece, 0 B\n  set  1\n" in capsys.readouterr().out
    files[0].write_text(re.sub(r'\["(cc|libc|perl)"\]', "[]", files[0].read_text()))
    assert update(files[0], tmp_path) == 2
    assert "asks for no packages" in capsys.readouterr().err


def test_roots_that_fruix_brings(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["root", "show"]) == 0
    assert capsys.readouterr().out.startswith("debian-12  bookworm of ")
    assert main(["root", "show", "debian-12"]) == 0
    assert "\nruntime: 4 pieces, " in capsys.readouterr().out
