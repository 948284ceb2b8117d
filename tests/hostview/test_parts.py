"""Parts of packages in shared directories.

Who owns what, what is shown of it, and that other packages change nothing.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pytest

from fruix.errors import HostViewError
from fruix.hostview import (
    ResolvedView,
    ViewDefinition,
    belonging,
    history_of,
    known_view,
    owners,
    resolve_view,
    view_history,
)
from fruix.hostview.parts import Part
from fruix.model.hostview import HostPackage
from fruix.model.viewdiff import in_words
from hostview.places import Place

HEADERS = ("include/stdio.h", "include/sys/types.h", "include/sys/deep/more.h")
FOREIGN = ("include/zlib.h", "include/foo/foo.h")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    place = Place(tmp_path, monkeypatch)
    for name in (*HEADERS, *FOREIGN):
        place.file(name, mode=0o644)
    return place


class Recorder(Protocol):
    """Notes that a package of a version is installed, in place of its other version."""

    def __call__(self, place: Place, package: str, files: Iterable[str], version: str = ...) -> None: ...


def dpkg(place: Place, package: str, files: Iterable[str], version: str = "1-1") -> None:
    names = {f"{place.top}/{name}" for name in files}
    directories = {str(parent) for name in names for parent in Path(name).parents}
    place.file(
        f"info/{package}:amd64.list", "".join(f"{name}\n" for name in ["/.", *sorted(names | directories)])
    )
    status = place.top / "status"
    others = status.read_text().split("\n\n") if status.exists() else ["Package: dpkg\nArchitecture: amd64"]
    own = f"Package: {package}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}"
    kept = [text for text in others if not text.startswith(f"Package: {package}\n")]
    status.write_text("\n\n".join([own, *kept]))
    owners.RECORDS = ((f"{place.top}/info", owners.DpkgRecords),)


def pacman(place: Place, package: str, files: Iterable[str], version: str = "1-1") -> None:
    names = {f"{place.top}/{name}".lstrip("/") for name in files}
    directories = {f"{parent}/" for name in names for parent in Path(name).parents}
    text = "".join(f"{name}\n" for name in ["%FILES%", *sorted(names | directories)])
    for other in (place.top / "local").glob(f"{package}-[0-9]*"):
        shutil.rmtree(other)
    place.file(f"local/{package}-{version}/files", f"{text}\n%BACKUP%\netc/x\t0\n")
    owners.RECORDS = ((f"{place.top}/local", owners.PacmanRecords),)


def apk(place: Place, package: str, files: Iterable[str], version: str = "1-1") -> None:
    lines = [f"C:Q1=\nP:{package}\nV:{version}"]
    directories: dict[str, list[str]] = {"": []}
    for name in files:
        full = f"{place.top}/{name}".lstrip("/")
        for parent in Path(full).parents:
            directories.setdefault(str(parent), [])
        directories[os.path.dirname(full)].append(os.path.basename(full))
    for directory, names in directories.items():
        lines += [f"F:{directory}", *(f"R:{name}\na:0:0:644" for name in names)]
    installed = place.top / "installed"
    others = installed.read_text().split("\n\n") if installed.exists() else [""]
    kept = [text for text in others if f"\nP:{package}\n" not in text]
    installed.write_text("\n\n".join(["\n".join(lines), *kept]))
    owners.RECORDS = ((f"{place.top}/installed", owners.ApkRecords),)


def rpm(place: Place, package: str, files: Iterable[str], version: str = "1-1") -> None:
    """A script that answers as rpm does, from lists."""
    dpkg(place, package, files, version)
    (place.top / f"info/{package}:amd64.list").rename(place.top / f"info/{package}")
    place.file(f"versions/{package}", version)
    place.file(
        "rpm",
        f"""#!/bin/sh
cd {place.top}/info
case $1 in
-qf) shift 4; found=$(grep -lx -- "$1" *) || {{ echo "file $1 is not owned by any package"; exit 1; }}
    for name in $found; do printf '%s\\t%s\\tx86_64\\n' $name 1:$(cat ../versions/$name); done ;;
-ql) shift 2; for name in *; do [ "$1" != $name-$(cat ../versions/$name).x86_64 ] || cat $name; done ;;
-qa) for name in *; do sed "s/^/$name\\t1:$(cat ../versions/$name)\\t/" $name; done ;;
esac
""",
    )
    place.file("rpmdb.sqlite")
    owners.RPM = f"{place.top}/rpm"
    owners.RECORDS = ((f"{place.top}/rpmdb.sqlite", owners.RpmRecords),)


MANAGERS: tuple[Recorder, ...] = (dpkg, pacman, apk, rpm)


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owners, "RECORDS", ())
    monkeypatch.setattr(owners, "RPM", "/nowhere/rpm")


def resolve(place: Place, *, otherwise: tuple[str, ...] = (), more: tuple[str, ...] = ()) -> ResolvedView:
    top = f"{place.top}"
    part = Part(
        (f"{top}/include/stdio.h",),
        (f"{top}/include",),
        tuple(f"{top}/{name}" for name in otherwise),
        hint="the C library's headers",
    )
    trees = tuple(f"{top}/{name}" for name in more)
    return resolve_view(ViewDefinition("v", trees=trees, parts=(part,), path=(f"{top}/bin",)), place.cache)


@pytest.mark.parametrize("record", MANAGERS)
def test_only_the_owners_files_are_shown(place: Place, record: Recorder) -> None:
    record(place, "zlib-dev", FOREIGN)
    record(place, "libc-dev", [*HEADERS, "share/doc/libc"])
    assert place.own(resolve(place))[0] == {"include/stdio.h", "include/sys"}


@pytest.mark.parametrize("record", MANAGERS)
@pytest.mark.parametrize(
    "name", ["include/other.h", "include/sys/other.h", "include/sys/deep/other/deeper.h"]
)
def test_another_package_changes_nothing(place: Place, record: Recorder, name: str) -> None:
    """Wherever its files lie: directories that were shown whole are then shown file by file."""
    record(place, "libc-dev", HEADERS)
    before = resolve(place)
    assert resolve(place) == before
    place.file(name, mode=0o644)
    record(place, "libother-dev", [name])
    after = resolve(place)
    assert after.view == before.view
    shown = place.own(after)[0]
    assert not any(name == item or name.startswith(item + "/") for item in shown)
    for header in HEADERS:
        assert any(header == item or header.startswith(item + "/") for item in shown)


@pytest.mark.parametrize("record", MANAGERS)
def test_a_change_of_the_package_is_one_of_the_view(place: Place, record: Recorder) -> None:
    record(place, "libc-dev", HEADERS)
    before = resolve(place).view
    place.file("include/sys/types.h", "changed", mode=0o644)
    changed = resolve(place).view
    assert changed.fingerprint != before.fingerprint
    assert changed.tools.keys() == before.tools.keys()
    (place.top / "include/sys/deep/more.h").unlink()
    assert resolve(place).view.fingerprint not in {before.fingerprint, changed.fingerprint}


@pytest.mark.parametrize("record", MANAGERS)
def test_packages_and_their_versions_are_known(place: Place, record: Recorder) -> None:
    """Of tools, of links, of parts and of trees; a new version is told by name, whatever else it changed."""
    epoch = "1:" if record is rpm else ""
    top = place.top
    place.file("bin/cc-12")
    place.link("bin/cc", "cc-12")
    place.file("share/data/x", mode=0o644)
    record(place, "compiler", ["bin/cc-12", "bin/cc", "share/doc/compiler"], "12.2.0-14")
    record(place, "libc-dev", HEADERS, "2.36-9")
    record(place, "unrelated", [*FOREIGN, "share/data2"], "7-1")
    record(place, "data", ["share/data/x"], "3-1")
    part = Part((f"{top}/include/stdio.h",), (f"{top}/include",))
    definition = ViewDefinition(
        "v", ("cc",), trees=(f"{top}/share/data",), parts=(part,), path=(f"{top}/bin",)
    )
    before = resolve_view(definition, place.cache).view
    assert before.packages == {
        "compiler": HostPackage(f"{epoch}12.2.0-14", (f"{top}/bin/cc", f"{top}/bin/cc-12")),
        "data": HostPackage(f"{epoch}3-1", (f"{top}/share/data",)),
        "libc-dev": HostPackage(f"{epoch}2.36-9", (f"{top}/include",)),
    }
    assert known_view(before.fingerprint, place.cache) == before
    record(place, "unrelated", FOREIGN, "8-1")
    record(place, "data", ["share/data/x"], "3-2")
    same = resolve_view(definition, place.cache).view
    assert same.fingerprint == before.fingerprint
    assert same.packages["data"].version == f"{epoch}3-2"
    assert known_view(before.fingerprint, place.cache) == same
    place.file("bin/cc-12", "newer")
    record(place, "compiler", ["bin/cc-12", "bin/cc", "share/doc/compiler"], "12.2.0-15")
    after = resolve_view(definition, place.cache).view
    assert in_words(same, after) == (
        f"the host's compiler changed {epoch}12.2.0-14 → {epoch}12.2.0-15",
        [f"~compiler {epoch}12.2.0-14 → {epoch}12.2.0-15", f"~{top}/bin/cc-12"],
    )
    assert history_of("v", place.cache)[-1][0] == after.fingerprint
    assert [fingerprint for fingerprint, _ in history_of("v", place.cache)] == [
        before.fingerprint,
        after.fingerprint,
    ]


def test_a_former_name_of_a_directory(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where /bin is a link to /usr/bin, packages may still list /bin/tool.

    That link is theirs for it no more than anybody's.
    """
    top = place.top
    place.link("bin-of-old", "bin")
    place.file("bin/tool")
    monkeypatch.setattr(belonging, "_MERGED", (f"{top}/bin-of-old",))
    dpkg(place, "tools", ["bin-of-old/tool"])
    dpkg(place, "unrelated", ["bin-of-old/other"])
    view = resolve_view(ViewDefinition("v", ("tool",), path=(f"{top}/bin-of-old",)), place.cache).view
    assert f"{top}/bin-of-old" in view.tools
    assert view.packages == {"tools": HostPackage("1-1", (f"{top}/bin/tool",))}


def test_packages_of_another_architecture(place: Place) -> None:
    """Both are there under their names; the host's own has no ending."""
    dpkg(place, "libc-dev", HEADERS, "2-1")
    place.file("info/libc-dev:i386.list", f"{place.top}/include/stdio.h\n")
    status = place.top / "status"
    status.write_text(status.read_text() + "\n\nPackage: libc-dev\nArchitecture: i386\nVersion: 2-0")
    paths = (f"{place.top}/include",)
    assert resolve(place).view.packages == {
        "libc-dev": HostPackage("2-1", paths),
        "libc-dev:i386": HostPackage("2-0", paths),
    }


def test_histories_end_somewhere(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest are forgotten, but not what another view had too."""
    monkeypatch.setattr(view_history, "MOST", 2)
    definition = ViewDefinition("v", trees=(f"{place.top}/include",), path=(f"{place.top}/bin",))
    views = []
    for text in ("one", "two", "three", "four"):
        place.file("include/stdio.h", text, mode=0o644)
        views.append(resolve_view(definition, place.cache).view)
        if text == "one":
            resolve_view(replace(definition, name="other"), place.cache)
    assert [seen[0] for seen in history_of("v", place.cache)] == [view.fingerprint for view in views[2:]]
    known = [known_view(view.fingerprint, place.cache) is not None for view in views]
    assert known == [True, False, True, True]


def test_links_are_shown_as_links(place: Place) -> None:
    place.link("include/asm", "../lib/uapi/asm")
    place.link("include/old.h", "stdio.h")
    dpkg(place, "libc-dev", [*HEADERS, "include/asm", "include/old.h"])
    resolved = resolve(place)
    assert place.own(resolved)[1] == {"include/asm": "../lib/uapi/asm", "include/old.h": "stdio.h"}
    (place.top / "include/asm").unlink()
    place.link("include/asm", "../lib/uapi/asm2")
    assert resolve(place).view.fingerprint != resolved.view.fingerprint


def test_files_of_the_package_that_are_not_there(place: Place) -> None:
    dpkg(place, "libc-dev", [*HEADERS, "include/gone.h", "include/sys/gone/never.h"])
    assert place.own(resolve(place))[0] == {"include/stdio.h", "include/sys"}


def test_all_of_a_directory_that_is_asked_for_wins(place: Place) -> None:
    dpkg(place, "libc-dev", HEADERS)
    assert place.own(resolve(place, more=("include",)))[0] == {"include"}


def test_where_nobody_knows_packages_a_list_serves(place: Place) -> None:
    found = resolve(place, otherwise=("include/stdio.h", "include/sys", "include/none.h"))
    assert place.own(found)[0] == {"include/stdio.h", "include/sys"}
    dpkg(place, "other", ["include/zlib.h"])  # the package manager has it from elsewhere
    assert place.own(resolve(place, otherwise=("include/sys",)))[0] == {"include/sys"}


def test_a_required_part_that_is_missing_is_named(place: Place) -> None:
    shutil.rmtree(place.top / "include")
    with pytest.raises(HostViewError, match=r"needs .*/include/stdio.h, which is not there") as caught:
        resolve(place)
    assert "the C library's headers" in caught.value.hint


def test_python_caches_do_not_break_up_directories(place: Place) -> None:
    place.file("include/sys/__pycache__/x.pyc", mode=0o644)
    dpkg(place, "libc-dev", HEADERS)
    part = Part((f"{place.top}/include/stdio.h",), (f"{place.top}/include",))
    definition = ViewDefinition("v", parts=(part,), path=(f"{place.top}/bin",))
    hiding = resolve_view(definition, place.cache, hide=True)
    assert place.own(hiding)[0] == {"include/stdio.h", "include/sys"}
    assert hiding.hidden == (f"{place.top}/include/sys/__pycache__",)
    (place.top / "include/sys/foreign.h").touch()
    apart = resolve_view(definition, place.cache, hide=True)
    assert apart.hidden == ()
    assert apart.view == hiding.view


def compiler(place: Place, version: str) -> None:
    for name in (f"bin/gcc-{version}", f"lib/gcc/t/{version}/cc1", f"lib/gcc/t/{version}/crtbegin.o"):
        place.file(name)
    place.file(f"c++/{version}/iostream", mode=0o644)
    dpkg(place, f"gcc-{version}", [f"bin/gcc-{version}", f"lib/gcc/t/{version}/cc1"])
    dpkg(place, f"libgcc-{version}", [f"lib/gcc/t/{version}/crtbegin.o"])
    dpkg(place, f"libstdc++-{version}", [f"c++/{version}/iostream"])


def test_another_compilers_files_are_not_shown(place: Place) -> None:
    """Nor those of other machines and languages beside those of the compiler itself."""
    top = place.top
    part = Part(
        (
            f"{top}/lib/gcc/{{gcc}}/cc1",
            f"{top}/lib/gcc/{{gcc}}/crtbegin.o",
            f"{top}/c++/{{gcc-version}}/iostream",
        ),
        (f"{top}/lib/gcc/{{gcc}}", f"{top}/c++"),
        (f"{top}/lib/gcc",),
        required=False,
    )
    definition = ViewDefinition("v", ("cc",), parts=(part,), path=(f"{top}/bin",))
    compiler(place, "12")
    place.link("bin/cc", "gcc-12")
    before = resolve_view(definition, place.cache)
    assert place.own(before)[0] == {"bin/gcc-12", "lib/gcc/t/12", "c++"}
    compiler(place, "11")
    place.file("lib/gcc/t/12/32/crtbegin.o")
    dpkg(place, "lib32gcc-12", ["lib/gcc/t/12/32/crtbegin.o"])
    after = resolve_view(definition, place.cache)
    assert after.view == before.view
    assert place.own(after)[0] == {"bin/gcc-12", "lib/gcc/t/12/cc1", "lib/gcc/t/12/crtbegin.o", "c++/12"}
    os.unlink(top / "bin/cc")
    place.file("bin/cc")  # somebody's own compiler: nobody knows what belongs to it
    assert place.own(resolve_view(definition, place.cache))[0] == {"bin/cc", "lib/gcc"}


def test_rpm_that_fails_owns_nothing(place: Place) -> None:
    owners.RECORDS = ((f"{place.top}", owners.RpmRecords),)
    assert owners.package_records().owner(f"{place.top}/include/stdio.h") is None
