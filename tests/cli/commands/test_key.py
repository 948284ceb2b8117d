"""Keys made, shown and converted, and what they sign."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fruix.cli.command_line import main
from fruix.model.guix_signature import read_acl, read_public_key
from fruix.model.hashes import Hash
from fruix.model.named_keys import PublicKey, by_name
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath
from fruix.signing import export_signatures, libcrypto
from fruix.signing.key_files import read_public
from fruix.signing.path_signatures import is_good, read_secret_key, sign
from golden_data import GOLDEN

INFO = PathInfo(StorePath.parse(f"/frx/store/{'a' * 32}-thing"), Hash.of("sha256", b""), 0)


def test_a_key_of_nix_s_form(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(tmp_path / "cache.sec")
    assert main(["key", "generate", "--name", "cache-1", file]) == 0
    printed = capsys.readouterr().out.strip()
    assert (tmp_path / "cache.pub").read_text() == printed
    key = read_secret_key(file)
    assert str(key.public) == printed
    assert libcrypto.public_from_seed(key.seed) == key.point
    signature = sign(INFO, key)
    keys = by_name([PublicKey.parse(printed)])
    assert is_good(INFO, signature, keys)
    assert not is_good(replace(INFO, nar_size=1), signature, keys)
    assert main(["key", "public", file]) == 0
    assert capsys.readouterr().out.strip() == printed
    assert main(["key", "generate", file]) == 2
    assert "keys are never written over" in capsys.readouterr().err
    assert read_secret_key(file) == key


def test_two_keys_differ(tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert main(["key", "generate", "--name", "x", str(tmp_path / name)]) == 0
    assert (tmp_path / "one.pub").read_text() != (tmp_path / "two.pub").read_text()


@pytest.mark.parametrize("words", [["key", "generate", "--guix"], ["key", "convert", "nix-key"]])
def test_a_key_of_guix_s_form(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["key", "generate", "nix-key"]) == 0
    assert main([*words, "signing-key.sec"]) == 0
    capsys.readouterr()
    private = export_signatures.read_private_key("signing-key.sec")
    public = read_public_key(read_public("signing-key.pub"))
    digest = bytes(range(32))
    export_signatures.judge(export_signatures.sign(digest, private).encode(), digest, [public])
    assert main(["key", "public", "signing-key.sec"]) == 0
    assert capsys.readouterr().out == Path("signing-key.pub").read_text()


def test_a_converted_key_has_the_same_public_half(tmp_path: Path) -> None:
    """So that it is the same key, only written otherwise; libgcrypt has signed with it above."""
    old, new = tmp_path / "nix", tmp_path / "guix.sec"
    assert main(["key", "generate", str(old)]) == 0
    assert main(["key", "convert", str(old), str(new)]) == 0
    assert read_secret_key(str(old)).point.hex().upper() in (tmp_path / "guix.pub").read_text()


def test_authorized_keys_are_a_list_of_guix_s(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, golden = str(tmp_path / "acl"), str(GOLDEN / "keys/guix-signing-key.pub")
    for _ in range(2):
        assert main(["key", "authorize", golden, "--acl", file]) == 0
        assert Path(file).read_bytes() == (GOLDEN / "keys/guix-acl").read_bytes()
    assert main(["key", "generate", "--guix", str(tmp_path / "other.sec")]) == 0
    assert main(["key", "authorize", str(tmp_path / "other.pub"), "--acl", file]) == 0
    assert len(read_acl(Path(file).read_bytes())) == 2
    capsys.readouterr()
    assert main(["key", "authorize", str(GOLDEN / "keys/nix-test-1.public"), "--acl", file]) == 2
    assert "no s-expression" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["", "a b", "a:b", "\n"])
def test_names_that_no_key_can_have(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["key", "generate", "--name", name or " ", str(tmp_path / "key")]) == 2
    assert "can't be the name of a key" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_key_is_not_quoted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "key"
    file.write_text("hidden:words")
    file.chmod(0o400)
    assert main(["key", "public", str(file)]) == 2
    assert "hidden" not in capsys.readouterr().err
