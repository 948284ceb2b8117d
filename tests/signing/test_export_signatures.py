"""Guix's signatures, against those that guix-daemon 1.5.0 made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fruix.errors import FruixError, NotPermittedError
from fruix.model.guix_signature import acl, public_key
from fruix.model.sexp import Sexp, advanced, find, parse
from fruix.signing import libgcrypt, shared_library
from fruix.signing.export_signatures import authorized_keys, judge, read_private_key, sign
from golden_data import GOLDEN, load

INDEX = load("export/index.json")
PAIRS = [
    (text.encode(), bytes.fromhex(digest))
    for text, digest in zip(INDEX["signatures"], INDEX["signed_sha256"], strict=True)
]
PRIVATE = parse((GOLDEN / "keys/guix-signing-key.sec").read_bytes())
KEYS = authorized_keys(str(GOLDEN / "keys/guix-acl"))


@pytest.mark.parametrize("number", range(len(PAIRS)))
def test_signatures_are_guix_s(number: int) -> None:
    text, digest = PAIRS[number]
    assert sign(digest, PRIVATE).encode() == text
    judge(text, digest, KEYS)


def test_what_is_wrong_with_a_signature_is_said_in_guix_s_words() -> None:
    text, digest = PAIRS[0]
    with pytest.raises(NotPermittedError, match=r"unauthorized public key: \(public-key"):
        judge(text, digest, ())
    with pytest.raises(NotPermittedError, match="signed hash doesn't match actual contents"):
        judge(text, PAIRS[1][1], KEYS)
    with pytest.raises(NotPermittedError, match="corrupt signature data"):
        judge(text[:-20], digest, KEYS)
    with pytest.raises(NotPermittedError, match=r"invalid signature: \(signature"):
        judge(text.replace(b"(r #0A", b"(r #0B"), digest, KEYS)


def test_a_signature_can_t_choose_what_is_looked_at() -> None:
    """One that asks the algorithm to look at another value than the hash is no signature of the hash."""
    (text, old), (_, wanted) = PAIRS
    forged = text.replace(
        f"(flags rfc6979)\n  (hash sha256 #{old.hex().upper()}#)".encode(),
        f"(flags rfc6979 raw) (hash sha256 #{wanted.hex()}#) (value #{old.hex()}#)".encode(),
    )
    assert forged != text
    with pytest.raises(NotPermittedError, match="invalid signature"):
        judge(forged, wanted, KEYS)


def test_keys_that_are_made_here(tmp_path: Path) -> None:
    pair = libgcrypt.generate()
    private, public = _list(pair, b"private-key"), _list(pair, b"public-key")
    assert public_key(private) == public
    text = sign(bytes(range(32)), private)
    judge(text.encode(), bytes(range(32)), [public])
    file = tmp_path / "acl"
    file.write_text(acl(public))
    assert authorized_keys(str(file)) == (public,)


def _list(value: Sexp, name: bytes) -> Sexp:
    found = find(value, name)
    assert found is not None
    return found


def test_without_a_list_this_machine_s_own_key_counts(tmp_path: Path) -> None:
    own = str(GOLDEN / "keys/guix-signing-key.pub")
    assert authorized_keys(str(tmp_path / "acl"), own) == KEYS
    assert authorized_keys(str(tmp_path / "acl"), str(tmp_path / "none")) == ()
    (tmp_path / "acl").write_text("(acl)")
    assert authorized_keys(str(tmp_path / "acl"), own) == ()
    (tmp_path / "acl").write_text("nonsense")
    with pytest.raises(FruixError, match="acl"):
        authorized_keys(str(tmp_path / "acl"), own)


def test_a_private_key_is_read_from_a_secret_file_only(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(advanced(PRIVATE))
    file.chmod(0o440)
    with pytest.raises(NotPermittedError, match=r"should be secret \(inaccessible to everybody else\)"):
        read_private_key(str(file))
    file.chmod(0o400)
    assert read_private_key(str(file)) == PRIVATE


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(shared_library, "_candidates", lambda *_: iter(("libnowhere.so.1",)))
    libgcrypt._loaded.cache_clear()
    yield
    libgcrypt._loaded.cache_clear()


@pytest.mark.usefixtures("nowhere")
def test_without_the_library_an_error_says_what_to_install() -> None:
    with pytest.raises(FruixError, match="need libgcrypt") as caught:
        sign(bytes(32), PRIVATE)
    assert "libgcrypt20" in caught.value.hint
