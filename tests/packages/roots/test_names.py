"""From a root's name to its pieces."""

from __future__ import annotations

from pathlib import Path

import pytest

from fruix.errors import UsageError
from fruix.packages.roots import root, runtime
from root_pieces import FREEBSD_ROOT

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


@pytest.mark.parametrize("system", SYSTEMS)
def test_descriptions_of_locales_are_a_variant(system: str) -> None:
    """What `localedef` of the base makes locales of."""
    more = set(root("debian-12+locales", system).pieces) - set(root("debian-12", system).pieces)
    assert {piece.name for piece in more} == {"libc-l10n", "locales", "tzdata"}


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


PIECES = """
  {name = "base", version = "1", urls = ["file:///base.txz"], kind = "base-set", groups = ["base"], WHAT},
  {name = "more", version = "1", kind = "tarball", urls = ["file:///x"], sha256 = "%s", groups = ["+more"]},
""" % ("1" * 64)
FREEBSD = FREEBSD_ROOT.replace("PIECES", PIECES)
# As releases have it: name, SHA-256, number of entries, set, description, whether it is usual.
MANIFEST = f"""base-dbg.txz\t{"2" * 64}\t1681\tbase_dbg\t"Base system (Debugging)"\toff
base.txz\t{"3" * 64}\t27126\tbase\t"Base system (MANDATORY)"\ton
"""


def pins(tmp_path: Path, what: str) -> str:
    (tmp_path / "MANIFEST").write_text(MANIFEST)
    (tmp_path / "freebsd.toml").write_text(FREEBSD.replace("WHAT", what))
    return str(tmp_path / "freebsd.toml")


@pytest.mark.parametrize("what", ['manifest = "MANIFEST"', f'sha256 = "{"3" * 64}"'])
def test_sets_of_freebsd_have_their_hash_of_the_manifest(tmp_path: Path, what: str) -> None:
    found = root(pins(tmp_path, what), "x86_64-freebsd")
    (piece,) = found.pieces
    assert (piece.kind, piece.sha256, piece.urls) == (
        "base-set",
        "3" * 64,
        ("file:///base.txz",),
    )
    assert (found.name, found.loader) == ("freebsd", "libexec/ld-elf.so.1")


def test_a_group_without_pieces_is_named(tmp_path: Path) -> None:
    """The runtime's would be an empty tree."""
    file = pins(tmp_path, 'manifest = "MANIFEST"')
    with pytest.raises(UsageError, match="no pieces of the group 'runtime' for x86_64-freebsd"):
        runtime(file, "x86_64-freebsd")


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ('manifest = "OTHER"', r"archives.x86_64-freebsd\[0\].manifest: can't be read"),
        ('manifest = "MANIFEST", urls = []', "can't be read"),
        ("size = 3", r"archives.x86_64-freebsd\[0\].sha256: is missing"),
        ('sha256 = "x"', r"archives.x86_64-freebsd\[0\].sha256: 'x' is not a SHA-256"),
    ],
)
def test_archives_that_are_written_down_wrong(tmp_path: Path, what: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        root(pins(tmp_path, what), "x86_64-freebsd")


def test_a_set_that_the_manifest_lacks(tmp_path: Path) -> None:
    file = pins(tmp_path, 'manifest = "MANIFEST"')
    (tmp_path / "MANIFEST").write_text(MANIFEST.replace("base.txz", "kernel.txz"))
    with pytest.raises(UsageError, match=r"MANIFEST has no 'base.txz'"):
        root(file, "x86_64-freebsd")
