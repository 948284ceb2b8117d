"""From a root's name to its pieces."""

from __future__ import annotations

import pytest

from fruix.errors import UsageError
from fruix.packages.roots import root, runtime

SYSTEMS = ("aarch64-linux", "x86_64-linux")


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_shipped_root(system: str) -> None:
    found = root("debian-12", system)
    names = [piece.name for piece in found.pieces]
    assert {"gcc", "libc6-dev", "make", "dash", "coreutils"} <= set(names)
    assert len(set(names)) == len(names)
    assert ("usr/bin/awk", "mawk") in found.links
    assert {piece.urls[0].partition("://debian/")[0] for piece in found.pieces} == {"mirror"}
    assert all("mirror://debian-snapshot/" in piece.urls[1] for piece in found.pieces)


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_variant_has_all_of_the_base(system: str) -> None:
    base, more = root("debian-12", system), root("debian-12+c++", system)
    assert set(base.pieces) < set(more.pieces)
    assert set(more.links) - set(base.links) == {("usr/bin/c++", "g++")}


def test_variants_have_one_order() -> None:
    for name in ("debian-12+perl+c++", "debian-12+c+++perl", "debian-12+perl+c+++perl"):
        assert root(name, "x86_64-linux") == root("debian-12+c+++perl", "x86_64-linux")
        assert root(name, "x86_64-linux").name == "debian-12+c+++perl"


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_runtime_is_the_same_for_all_variants(system: str) -> None:
    found = runtime("debian-12+cmake", system)
    assert found == runtime("debian-12", system)
    assert {piece.name for piece in found.pieces} >= {"libc6", "libgcc-s1", "libstdc++6"}
    assert set(found.pieces) <= set(root("debian-12+c++", system).pieces)
    assert found.name == "debian-12-runtime"
    assert found.only
    assert not found.links
    assert found.loader.startswith(found.library_path[0])


@pytest.mark.parametrize(
    ("name", "why", "hint"),
    [
        ("debian-13", "no root 'debian-13'", "did you mean 'debian-12'?"),
        ("debian-12+fortran", "no variant '.fortran'", "there are: +c++,"),
        ("debian-12+", "no name of a root", "such as debian-12"),
        ("", "no name of a root", "such as debian-12"),
        ("/nowhere/debian-12.toml", "can't be read", ""),
    ],
)
def test_names_that_are_none(name: str, why: str, hint: str) -> None:
    with pytest.raises(UsageError, match=why) as caught:
        root(name, "x86_64-linux")
    assert hint in (caught.value.hint or "")


def test_a_system_that_it_is_not_for() -> None:
    with pytest.raises(UsageError, match="not for x86_64-freebsd") as caught:
        root("debian-12", "x86_64-freebsd")
    assert "use a host view" in (caught.value.hint or "")
