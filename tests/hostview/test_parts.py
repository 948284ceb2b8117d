"""Parts of packages in shared directories.

Who owns what, what is shown of it, and that other packages change nothing.
"""

from __future__ import annotations

import os
import shutil

import pytest

from fruix.errors import HostViewError
from fruix.hostview import (
    ViewDefinition,
    resolve_view,
)
from fruix.hostview.parts import Part
from hostview.places import Place
from hostview.records import FOREIGN, HEADERS, MANAGERS, Recorder, dpkg, resolve

pytestmark = pytest.mark.usefixtures("headers", "nobody")


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
