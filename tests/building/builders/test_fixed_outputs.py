"""Fixed outputs in real builds: every algorithm, flat and recursive."""

from __future__ import annotations

import pytest

from asking import failed
from fruix.model.build_options import BuildOptions
from fruix.model.contentaddress import ContentAddress, path_for
from fruix.model.derivation import DerivationOutput
from fruix.model.hashes import DIGEST_SIZES, Hash
from fruix.model.makepath import Method
from fruix.model.storepath import StorePath
from machine import Machine, one_machine

pytestmark = pytest.mark.usefixtures("each_back_end")

NIX, GUIX = BuildOptions("nix"), BuildOptions("guix")
here, shell = one_machine()


def digest(data: bytes, algorithm: str) -> str:
    return Hash.of(algorithm, data).base16


NAR_OF_X = b"".join(
    len(part).to_bytes(8, "little") + part + bytes(-len(part) % 8)
    for part in (b"nix-archive-1", b"(", b"type", b"regular", b"contents", b"x", b")")
)


@pytest.mark.parametrize("algorithm", sorted(DIGEST_SIZES))
@pytest.mark.parametrize("recursive", [False, True], ids=["flat", "recursive"])
def test_fixed_outputs_in_all_algorithms(
    here: Machine, shell: StorePath, algorithm: str, recursive: bool
) -> None:
    method, data = ("r:" + algorithm, NAR_OF_X) if recursive else (algorithm, b"x")
    good = {"out": DerivationOutput(None, method, digest(data, algorithm))}
    drv = here.derivation("fixed", "printf x > $out", shell, outputs=good)
    (result,) = here.build(drv)
    assert result.success, result.message
    info = here.store.path_info(here.store.derivation_outputs(drv)["out"])
    assert info is not None
    assert str(info.content_address).startswith("fixed:r:" if recursive else "fixed:" + algorithm)
    bad = here.derivation("wrong", "printf y > $out", shell, outputs=good)
    assert "hash mismatch" in failed(here, bad).message


@pytest.mark.parametrize(
    "script", ["printf x > $out; chmod +x $out", "mkdir $out", "printf x > /build/x; ln -s /build/x $out"]
)
def test_flat_outputs_are_plain_files(here: Machine, shell: StorePath, script: str) -> None:
    flat = {"out": DerivationOutput(None, "sha256", digest(b"x", "sha256"))}
    drv = here.derivation("not-flat", script, shell, outputs=flat)
    assert "should be a non-executable regular file" in failed(here, drv).message


def test_fixed_outputs_refer_to_nothing(here: Machine, shell: StorePath) -> None:
    data = f"{shell}\n".encode()
    flat = {"out": DerivationOutput(None, "sha256", digest(data, "sha256"))}
    drv = here.derivation("refers", f"echo {shell} > $out", shell, outputs=flat)
    assert (
        f"fixed-output derivations must not reference store paths: '{drv}' references 1 distinct paths,"
        f" e.g. '{shell}'"
    ) in failed(here, drv).message
    assert here.build(drv, options=GUIX)[0].success
    assert here.store.references(here.store.derivation_outputs(drv)["out"]) == [shell]


def test_what_was_made_instead_is_kept_for_nix(here: Machine, shell: StorePath) -> None:
    """Under the name that its contents give, as Nix does: with the right hash it is there already."""
    declared = {"out": DerivationOutput(None, "sha256", digest(b"declared", "sha256"))}
    made = ContentAddress(Method.FLAT, Hash.of("sha256", b"made\n"))
    for options, expected in ((GUIX, False), (NIX, True)):
        drv = here.derivation("instead", "echo made > $out", shell, outputs=declared)
        (result,) = here.build(drv, options=options)
        assert "hash mismatch" in result.message
        path = path_for(made, "instead", here.store.directory)
        info = here.store.path_info(path)
        assert (info is not None) == expected
        assert not here.store.is_valid(here.store.derivation_outputs(drv)["out"])
    assert info is not None
    assert info.content_address == made
    drv = here.derivation("instead", f"echo {shell} > $out", shell, outputs=declared)
    (result,) = here.build(drv, options=NIX)
    assert "'instead' is not allowed to refer to other store paths" in result.message
