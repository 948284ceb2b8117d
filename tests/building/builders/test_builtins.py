"""Builders of our own without a network: profiles and channels, in real sandboxes."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from fruix.building.builders.buildenv import Member, Profile, read_members
from fruix.building.settings import BuildSettings
from fruix.errors import BadDerivationError, FruixError
from fruix.model.build_options import BuildOptions
from fruix.model.storepath import StorePath
from machine import Machine, machine, one_machine

pytestmark = pytest.mark.usefixtures("each_back_end")


def tree(top: Path, *files: str) -> Path:
    for file in files:
        (top / file).parent.mkdir(parents=True, exist_ok=True)
        (top / file).write_text(f"{top.name}/{file}")
    return top


def listing(top: Path) -> dict[str, str]:
    """Name → link target, or what a file is."""
    return {
        str(path.relative_to(top)): os.readlink(path) if path.is_symlink() else "directory"
        for path in sorted(top.rglob("*"))
    }


def merged(tmp_path: Path, *members: Member) -> dict[str, str]:
    Profile(str(tmp_path / "out")).fill(list(members))
    return listing(tmp_path / "out")


def test_one_package_is_linked_at_the_top(tmp_path: Path) -> None:
    a = tree(tmp_path / "a", "bin/a", "share/doc/a", ".hidden", "nix-support/x", "manifest.nix")
    assert merged(tmp_path, Member(5, str(a))) == {"bin": f"{a}/bin", "share": f"{a}/share"}


def test_directories_open_where_packages_meet(tmp_path: Path) -> None:
    a, b = tree(tmp_path / "a", "bin/a", "share/doc/a", "lib/a"), tree(tmp_path / "b", "bin/b", "share/doc/b")
    assert merged(tmp_path, Member(5, str(b)), Member(5, str(a))) == {
        "bin": "directory",
        "bin/a": f"{a}/bin/a",
        "bin/b": f"{b}/bin/b",
        "lib": f"{a}/lib",
        "share": "directory",
        "share/doc": "directory",
        "share/doc/a": f"{a}/share/doc/a",
        "share/doc/b": f"{b}/share/doc/b",
    }


def test_the_lower_number_wins(tmp_path: Path) -> None:
    a, b, c = (tree(tmp_path / name, "bin/x", f"bin/{name}") for name in "abc")
    found = merged(tmp_path, Member(7, str(a)), Member(3, str(b)), Member(9, str(c)))
    assert found["bin/x"] == f"{b}/bin/x"


def test_collisions(tmp_path: Path) -> None:
    a, b = tree(tmp_path / "a", "bin/x"), tree(tmp_path / "b", "bin/x")
    with pytest.raises(FruixError, match="both of priority 5"):
        merged(tmp_path, Member(5, str(a)), Member(5, str(b)))
    c = tree(tmp_path / "c", "bin")
    for number, pair in enumerate(((a, c), (c, a))):
        with pytest.raises(FruixError, match="collision between the"):
            Profile(str(tmp_path / f"out{number}")).fill(
                [Member(at, str(path)) for at, path in enumerate(pair)]
            )


def test_propagated_packages_come_last(tmp_path: Path) -> None:
    b = tree(tmp_path / "b", "bin/b", "bin/x")
    a = tree(tmp_path / "a", "bin/a", "bin/x")
    (a / "nix-support").mkdir()
    (a / "nix-support" / "propagated-user-env-packages").write_text(f"{b} {a}\n")
    found = merged(tmp_path, Member(5, str(a)))
    assert (found["bin/b"], found["bin/x"]) == (f"{b}/bin/b", f"{a}/bin/x")


def test_dangling_links_and_files_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = tree(tmp_path / "a", "bin/a"), tree(tmp_path / "b", "x") / "x"
    (a / "gone").symlink_to("nowhere")
    assert merged(tmp_path, Member(5, str(a)), Member(6, str(b))) == {"bin": f"{a}/bin"}
    assert "dangling" in capsys.readouterr().out


def test_groups_of_words() -> None:
    text = "true 5 2 /s/a /s/b false 3 1 /s/c true 1 0"
    assert read_members(text) == [Member(5, "/s/a"), Member(5, "/s/b")]
    for bad in ("true", "true x 1 /s", "true 5 3 /s/a"):
        with pytest.raises(BadDerivationError, match="malformed"):
            read_members(bad)


here, shell = one_machine()


NIX = BuildOptions("nix")


def test_a_profile(here: Machine, shell: StorePath, tmp_path: Path) -> None:
    a = here.store.add_path("a", str(tree(tmp_path / "a", "bin/a", "share/x")))
    b = here.store.add_path("b", str(tree(tmp_path / "b", "bin/b")))
    manifest = here.store.add_text("env-manifest.nix", b"[ ]")
    env = {"derivations": f"true 5 1 {a} true 5 1 {b}", "manifest": str(manifest)}
    drv = here.derivation(
        "user-environment",
        "",
        shell,
        sources=[a, b, manifest],
        env=env,
        builder="builtin:buildenv",
        system="builtin",
    )
    (result,) = here.build(drv, options=NIX)
    assert result.success, result.message
    out = here.output(drv)
    assert (out / "bin" / "b").read_text() == "b/bin/b"
    assert os.readlink(out / "share") == f"{a}/share"
    assert os.readlink(out / "manifest.nix") == str(manifest)
    assert here.store.references(here.store.derivation_outputs(drv)["out"]) == sorted([a, b, manifest])


def test_a_profile_with_a_collision(here: Machine, shell: StorePath, tmp_path: Path) -> None:
    both = [here.store.add_path(name, str(tree(tmp_path / name, "bin/x"))) for name in ("c", "d")]
    env = {"derivations": " ".join(f"true 5 1 {path}" for path in both)}
    drv = here.derivation(
        "collides", "", shell, sources=both, env=env, builder="builtin:buildenv", system="builtin"
    )
    (result,) = here.build(drv, options=NIX)
    assert "> error: collision between" in result.message


def tarball(*names: str, compression: str = "xz") -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode=f"w:{compression}") as archive:  # type: ignore[call-overload]
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = 1
            archive.addfile(info, io.BytesIO(b"x"))
    return data.getvalue()


@pytest.mark.parametrize("compression", ["xz", "gz", "bz2"])
def test_a_channel(here: Machine, shell: StorePath, compression: str) -> None:
    source = here.store.add_text(
        "channel.tar", tarball("nixpkgs-1/default.nix", "nixpkgs-1/lib/x", compression=compression)
    )
    env = {"src": str(source), "channelName": "nixpkgs"}
    drv = here.derivation(
        "channel", "", shell, sources=[source], env=env, builder="builtin:unpack-channel", system="builtin"
    )
    (result,) = here.build(drv, options=NIX)
    assert result.success, result.message
    assert listing(here.output(drv)) == dict.fromkeys(
        ("nixpkgs", "nixpkgs/default.nix", "nixpkgs/lib", "nixpkgs/lib/x"), "directory"
    )


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (tarball("a", "b"), "contains 2 entries, not one"),
        (b"no archive", "can't unpack"),
        (tarball("a")[:60], "can't unpack"),
        (tarball("../a"), "can't unpack"),
    ],
)
def test_channels_that_are_none(here: Machine, shell: StorePath, data: bytes, why: str) -> None:
    source = here.store.add_text("bad.tar", data)
    env = {"src": str(source), "channelName": "x"}
    drv = here.derivation(
        "bad", "", shell, sources=[source], env=env, builder="builtin:unpack-channel", system="builtin"
    )
    assert why in here.build(drv, options=NIX)[0].message


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".."])
def test_channel_names_are_plain(here: Machine, shell: StorePath, name: str) -> None:
    env = {"src": str(shell), "channelName": name}
    drv = here.derivation("named", "", shell, env=env, builder="builtin:unpack-channel", system="builtin")
    assert "a plain name" in here.build(drv, options=NIX)[0].message


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (BuildSettings(max_output_files=4), "its outputs hold more than 4 files and directories"),
        (BuildSettings(max_output_size=2), "its outputs claim to hold more than 2 bytes of contents"),
    ],
)
def test_limits_of_outputs_hold(tmp_path: Path, settings: BuildSettings, why: str) -> None:
    with machine(settings) as one:
        source = one.store.add_text("channel.tar", tarball("x/1", "x/2", "x/3"))
        drv = one.derivation(
            "channel",
            "",
            one.shell(tmp_path),
            sources=[source],
            env={"src": str(source), "channelName": "x"},
            builder="builtin:unpack-channel",
            system="builtin",
        )
        (result,) = one.build(drv, options=NIX)
        assert why in result.message
        assert not one.output(drv).exists()
