"""The rules by which the pieces of a root meet."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from fruix.building.builders import assemble_root, root_tree
from fruix.building.builders.assemble_root import main
from root_pieces import deb, directory, file, hard, link, member, tarball

Make = Callable[..., dict[str, str]]


@pytest.fixture
def make(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Make:
    """Puts pieces together; what lies in the tree by path, or under `error` what is said."""

    def made(
        *pieces: bytes, kind: str = "deb", links: Mapping[str, str] | None = None, only: tuple[str, ...] = ()
    ) -> dict[str, str]:
        rows = []
        for name, data in zip("abc", pieces, strict=False):
            (tmp_path / name).write_bytes(data)
            rows.append([kind, name, str(tmp_path / name)])
        out = tmp_path / "out"
        shutil.rmtree(out, ignore_errors=True)
        code = main({"out": str(out), "pieces": rows, "links": list((links or {}).items()), "only": only})
        said = capsys.readouterr().out
        return tree(out) if code == 0 else {"error": said}

    return made


def tree(top: Path) -> dict[str, str]:
    """Path → link's target, or contents with an `*` if it can be run; directories only where empty."""
    found = {}
    for path in sorted(top.rglob("*")):
        if path.is_symlink():
            found[str(path.relative_to(top))] = "→ " + os.readlink(path)
        elif path.is_dir():
            if not os.listdir(path):
                found[str(path.relative_to(top))] = "directory"
        else:
            found[str(path.relative_to(top))] = path.read_text() + "*" * bool(path.stat().st_mode & 0o100)
    return found


def test_pieces_meet_in_directories(make: Make) -> None:
    one = deb(directory("./"), directory("./usr/"), file("./usr/bin/a", mode=0o755), link("./usr/bin/b", "a"))
    two = deb(file("./usr/bin/c"), directory("./etc/empty/"))
    assert make(one, two) == {
        "bin": "→ usr/bin",
        "etc/empty": "directory",
        "usr/bin/a": "x*",
        "usr/bin/b": "→ a",
        "usr/bin/c": "x",
    }


def test_debian_s_directories_land_in_usr(make: Make) -> None:
    """Merged /usr, whatever the piece thinks; sets of other systems are left as they are."""
    pieces = (file("bin/a"), file("sbin/b"), file("lib/c"), link("lib64/ld", "/lib/c"), file("usr/bin/d"))
    assert make(deb(*pieces)) == {
        "bin": "→ usr/bin",
        "lib": "→ usr/lib",
        "lib64": "→ usr/lib64",
        "sbin": "→ usr/sbin",
        "usr/bin/a": "x",
        "usr/bin/d": "x",
        "usr/lib/c": "x",
        "usr/lib64/ld": "→ ../lib/c",
        "usr/sbin/b": "x",
    }


def test_links_of_merged_usr_may_be_there(make: Make) -> None:
    merged = deb(link("./bin", "usr/bin"), link("lib", "/usr/lib"), directory("usr/bin"))
    assert make(merged, deb(file("bin/a"))) == {"bin": "→ usr/bin", "usr/bin/a": "x"}


def test_other_systems_have_no_merged_usr(make: Make) -> None:
    assert make(tarball(file("bin/a"), file("usr/bin/a", b"y")), kind="base-set") == {
        "bin/a": "x",
        "usr/bin/a": "y",
    }


def test_absolute_links_lead_where_they_lead_in_the_root(make: Make) -> None:
    links = {"e": "/proc/x", "etc/a": "/usr/share/x", "usr/b": "/../../etc", "usr/c/d": "/"}
    assert make(deb(*(link(path, target) for path, target in links.items()))) == {
        "e": "→ proc/x",
        "etc/a": "→ ../usr/share/x",
        "usr/b": "→ ../etc",
        "usr/c/d": "→ ../..",
    }


def test_set_id_bits_and_owners_are_dropped(make: Make, tmp_path: Path) -> None:
    info = member("usr/bin/su", mode=0o6755)
    info.uid = info.gid = 4711
    assert make(deb((info, b"x"), (member("usr/secret", mode=0o600), b"y"))) == {
        "bin": "→ usr/bin",
        "usr/bin/su": "x*",
        "usr/secret": "y",
    }
    status = os.stat(tmp_path / "out/usr/bin/su")
    assert (status.st_mode & 0o7777 & ~0o022, status.st_uid) == (0o755, os.getuid())


def test_hard_links_stay_such(make: Make, tmp_path: Path) -> None:
    data = tarball(file("rescue/a", mode=0o755), hard("rescue/b", "./rescue/a"), hard("usr/c", "rescue/b"))
    assert make(data, kind="base-set") == {"rescue/a": "x*", "rescue/b": "x*", "usr/c": "x*"}
    assert os.stat(tmp_path / "out/rescue/a").st_nlink == 3


def test_links_of_the_pins(make: Make) -> None:
    made = make(deb(file("usr/bin/mawk")), links={"usr/bin/awk": "mawk", "etc/awk": "/bin/mawk"})
    assert (made["usr/bin/awk"], made["etc/awk"]) == ("→ mawk", "→ ../usr/bin/mawk")


def test_what_is_kept(make: Make) -> None:
    piece = deb(file("usr/lib/x/a"), file("lib/b"), file("usr/share/doc/c"), directory("var/d"))
    assert make(piece, only=("usr/lib*",)) == {"lib": "→ usr/lib", "usr/lib/b": "x", "usr/lib/x/a": "x"}


def test_what_is_left_out_of_what_is_kept(make: Make) -> None:
    piece = deb(file("usr/lib/x/a"), file("usr/lib/x/b"), file("lib/a"), file("usr/share/doc/c"))
    made = make(piece, only=("usr/lib*", "!usr/lib/x/?"))
    assert made == {"lib": "→ usr/lib", "usr/lib/a": "x"}


def test_what_is_left_out_of_everything(make: Make) -> None:
    piece = deb(file("usr/bin/a"), file("usr/share/doc/c"))
    assert make(piece, only=("!usr/share*",)) == {"bin": "→ usr/bin", "usr/bin/a": "x"}


def test_what_two_pieces_have_alike(make: Make) -> None:
    alike = (file("usr/a", b"same", 0o755), hard("usr/b", "usr/a"), link("usr/c", "a"), directory("usr/d"))
    assert make(deb(*alike), deb(*alike)) == make(deb(*alike))


@pytest.mark.parametrize(
    ("one", "two", "why"),
    [
        (file("usr/x"), file("usr/x", b"y"), "is a file in b, and another file in a"),
        (file("usr/x"), file("usr/x", b"xy"), "is a file in b, and another file in a"),
        (file("usr/x", b"xy"), file("usr/x"), "is a file in b, and another file in a"),
        (file("usr/x"), file("usr/x", mode=0o755), "is a file in b, and another file in a"),
        (link("usr/x", "y"), link("usr/x", "z"), "is a link in b, and another link in a"),
        (file("usr/x"), link("usr/x", "z"), "is a link in b, and a file in a"),
        (link("usr/x", "z"), file("usr/x"), "is a file in b, and a link in a"),
        (directory("usr/x"), file("usr/x"), "is a file in b, and a directory in a"),
        (file("usr/x"), directory("usr/x"), "is a directory in b, and a file in a"),
        (file("usr/x"), file("usr/x/y"), "is a directory in b, and a file in a"),
        (link("usr/x", "/etc"), file("usr/x/y"), "is a directory in b, and a link in a"),
        (directory("usr/x"), link("usr/x", "y"), "is a link in b, and a directory in a"),
    ],
)  # fmt: skip
def test_pieces_that_contradict_each_other(make: Make, one: Any, two: Any, why: str) -> None:
    said = make(deb(one), deb(two))["error"]
    assert f"error: piece b: 'usr/x' {why}\na root can't have both: leave one out\n" == said


def test_a_hard_link_that_another_piece_contradicts(make: Make) -> None:
    said = make(deb(file("usr/x")), deb(file("usr/y", b"y"), hard("usr/x", "usr/y")))["error"]
    assert "'usr/x' is a file in b, and another file in a" in said


def test_links_of_the_pins_stand_where_no_piece_has_anything(make: Make) -> None:
    said = make(deb(file("usr/x")), links={"usr/x": "y"})["error"]
    assert "error: 'usr/x' is a link in the root's links, and a file in a" in said


@pytest.mark.parametrize(
    "bad",
    [
        file("/etc/x"),
        file("../x"),
        file("usr/../../x"),
        directory("usr/.."),
        link("../x", "usr"),
        hard("usr/y", "../../etc/passwd"),
    ],
    ids=range(6),
)
def test_names_that_leave_the_root(make: Make, bad: Any, tmp_path: Path) -> None:
    assert "is no path within the root" in make(deb(file("usr/x"), bad))["error"]
    assert sorted(os.listdir(tmp_path)) == ["a", "out"]


@pytest.mark.parametrize(
    "links",
    [
        {"usr/x": "../../y"},
        {"x": ".."},
        {"usr/x": "y/../../../z"},
        {"usr/share/d": "../..", "usr/share/x": "d/../y"},
        {"lib/x": "../../../z"},
    ],
    ids=str,
)
def test_links_that_lead_out_of_the_root(make: Make, links: dict[str, str]) -> None:
    """Also by way of another link; those of pieces and those of the pins."""
    pieces = [link(path, target) for path, target in links.items()]
    assert "of a leads out of the root" in make(deb(*pieces))["error"]
    assert "of the root's links leads out of the root" in make(deb(file("usr/a")), links=links)["error"]


def test_links_in_circles_lead_nowhere(make: Make) -> None:
    assert make(deb(link("usr/x", "y"), link("usr/y", "x"))) == {"usr/x": "→ y", "usr/y": "→ x"}


@pytest.mark.parametrize("first", ["usr/x", "usr/l", "usr/d", "usr/b"])
def test_hard_links_are_to_files_of_their_own_piece(make: Make, first: str) -> None:
    """Not to one that comes later, to a link, to a directory, or to another piece's file."""
    bad = deb(link("usr/l", "b"), directory("usr/d"), hard("usr/y", first), file("usr/x"))
    said = make(deb(file("usr/b")), bad)["error"]
    assert f"the hard link 'usr/y' of b is to '{first}', no file that the piece had before it" in said


@pytest.mark.parametrize("kind", [tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, b"Z"])
def test_devices_and_the_like_are_refused(make: Make, kind: bytes) -> None:
    said = make(deb(member("dev/x", kind)))["error"]
    assert "'dev/x' of a is a device, a pipe or something else" in said


def test_names_are_the_same_bytes_in_every_locale(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(deb(*map(file, ["usr/é", "usr/\udcff"]), link("etc/l", "/usr/é")))
    arguments = {"out": f"{tmp_path}/out", "pieces": [["deb", "a", f"{tmp_path}/a"]], "links": [], "only": []}
    program = f"from fruix.building.builders.assemble_root import main; raise SystemExit(main({arguments}))"
    ascii_alone = {
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "PYTHONPATH": ":".join(sys.path),
    }
    subprocess.run([sys.executable, "-c", program], env=ascii_alone, check=True)
    assert sorted(os.listdir(os.fsencode(tmp_path / "out/usr"))) == ["é".encode(), b"\xff"]
    assert os.readlink(os.fsencode(tmp_path / "out/etc/l")) == "../usr/é".encode()


@pytest.mark.parametrize(("bounds", "why"), [
    (root_tree.Bounds(size=5), "more than 5 bytes, with b"),
    (root_tree.Bounds(entries=3), "more than 3 entries, with b"),
])  # fmt: skip
def test_a_tree_has_bounds(
    make: Make, monkeypatch: pytest.MonkeyPatch, bounds: root_tree.Bounds, why: str
) -> None:
    monkeypatch.setattr(assemble_root, "BOUNDS", bounds)
    assert why in make(deb(file("usr/a", b"123")), deb(file("usr/b", b"123"), directory("usr/c")))["error"]
