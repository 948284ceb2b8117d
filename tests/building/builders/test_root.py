"""`builtin:root` in real sandboxes."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from fruix.building.settings import BuildSettings
from fruix.model.build_options import BuildOptions
from fruix.model.buildresult import BuildMode, BuildResult
from fruix.model.storepath import StorePath
from machine import Machine, machine, one_machine
from root_pieces import deb, file, link, packed_deb, tarball

pytestmark = pytest.mark.usefixtures("each_back_end")
here, shell = one_machine()
A = (file("bin/a", b"a", 0o4755), link("etc/a", "/usr/bin/a"))
B = (file("usr/bin/b", b"b"),)


def root(
    here: Machine, name: str, pieces: Mapping[str, bytes], shell: StorePath, **env: str
) -> tuple[StorePath, BuildResult]:
    paths = {piece: here.store.add_text(f"{piece}.deb", data) for piece, data in pieces.items()}
    lines = "".join(f"deb {piece} {path}\n" for piece, path in paths.items())
    drv = here.derivation(
        name, "", shell, sources=paths.values(), env={"pieces": lines, **env}, builder="builtin:root"
    )
    (result,) = here.build(drv)
    return drv, result


def test_a_root(here: Machine, shell: StorePath) -> None:
    drv, result = root(here, "root", {"a": deb(*A), "b": deb(*B)}, shell, links="usr/bin/c a\n")
    assert result.success, result.message
    out = here.output(drv)
    assert (out / "bin/b").read_text() == "b"
    assert [os.readlink(out / name) for name in ("etc/a", "usr/bin/c")] == ["../usr/bin/a", "a"]
    assert os.stat(out / "usr/bin/a").st_mode & 0o7777 == 0o555
    assert here.store.references(here.store.derivation_outputs(drv)["out"]) == []
    (again,) = here.build(drv, options=BuildOptions("fruix", mode=BuildMode.CHECK))
    assert again.success, again.message


def test_a_piece_that_is_compressed_with_zstd(here: Machine, shell: StorePath) -> None:
    name = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    piece = packed_deb(pytest.importorskip(name).compress(tarball(*B)), "data.tar.zst")
    drv, result = root(here, "zstd", {"b": piece}, shell)
    assert result.success, result.message
    assert (here.output(drv) / "usr/bin/b").read_bytes() == b"b"


def test_variants_share_their_files(here: Machine, shell: StorePath) -> None:
    """By contents, as all paths of a store do: what is registered is one file on disk for both."""
    big = deb(file("usr/lib/big", bytes(range(256)) * 64))
    variants: dict[str, dict[str, bytes]] = {"v": {"big": big}, "v+b": {"big": big, "b": deb(*B)}}
    drvs = [root(here, name, pieces, shell)[0] for name, pieces in variants.items()]
    here.store.optimise()
    first, second = (os.stat(here.output(drv) / "usr/lib/big") for drv in drvs)
    assert first.st_ino == second.st_ino


def test_a_root_of_another_system_is_made_here(here: Machine, shell: StorePath) -> None:
    piece = here.store.add_text("b.deb", deb(*B))
    env = {"pieces": f"deb b {piece}\n"}
    drv = here.derivation(
        "other", "", shell, sources=[piece], env=env, builder="builtin:root", system="riscv64-linux"
    )
    (result,) = here.build(drv)
    assert result.success, result.message


@pytest.mark.parametrize(
    ("pieces", "why"),
    [
        ({"a": deb(*A), "c": deb(file("bin/a"))}, "'usr/bin/a' is a file in c, and another file in a"),
        ({"a": deb(*A)[:-8]}, "piece a: it ends early: within its member 'data.tar.xz'"),
        ({"a": deb(file("../../../x"))}, "piece a: '../../../x' of a is no path within the root"),
        ({"a": deb(link("x", "../../../etc/passwd"))}, "leads out of the root"),
        ({"a": tarball(*B)}, "piece a: it is no Debian package"),
    ],
    ids=range(5),
)
def test_pieces_of_which_nothing_is_made(
    here: Machine, shell: StorePath, pieces: Mapping[str, bytes], why: str
) -> None:
    drv, result = root(here, "bad", pieces, shell)
    assert f"> error: {why}" in result.message or why in result.message
    assert not here.store.is_valid(here.store.derivation_outputs(drv)["out"])
    assert not here.output(drv).exists()


@pytest.mark.parametrize("lines", ["", "deb a", "deb  /x", "rpm a /x", "deb a /x y"])
def test_lists_of_pieces_that_are_none(here: Machine, shell: StorePath, lines: str) -> None:
    drv = here.derivation("bad", "", shell, env={"pieces": lines}, builder="builtin:root")
    assert "'pieces' or 'links' of builtin:root is malformed" in here.build(drv)[0].message


def test_lists_of_links_that_are_none(here: Machine, shell: StorePath) -> None:
    env = {"pieces": f"deb a {shell}\n", "links": "usr/bin/awk\n"}
    drv = here.derivation("bad", "", shell, env=env, builder="builtin:root")
    assert "'pieces' or 'links' of builtin:root is malformed" in here.build(drv)[0].message


def test_a_piece_that_is_no_input(here: Machine, shell: StorePath) -> None:
    other = here.store.add_text("other.deb", deb(*A))
    drv = here.derivation("bad", "", shell, env={"pieces": f"deb a {other}\n"}, builder="builtin:root")
    assert f"the piece a can't be read from {other}: No such file" in here.build(drv)[0].message


def test_limits_of_outputs_hold(each_back_end: str, tmp_path: Path) -> None:
    with machine(BuildSettings(max_output_size=2)) as one:
        drv, result = root(one, "big", {"a": deb(file("usr/a", b"abc"))}, one.shell(tmp_path))
        assert "its outputs claim to hold more than 2 bytes" in result.message
        assert not one.output(drv).exists()
