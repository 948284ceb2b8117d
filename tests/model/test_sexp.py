from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fruix.errors import FormatError
from fruix.model.guix_signature import GuixSignature, acl, read_acl, read_public_key, signed_data
from fruix.model.sexp import MAX_DEPTH, Sexp, advanced, canonical, find, parse
from golden_data import GOLDEN, load

SIGNATURES = load("export/index.json")["signatures"]

sexps = st.recursive(
    st.binary(max_size=40), lambda inner: st.lists(inner, max_size=4).map(tuple), max_leaves=20
)
lists = st.lists(sexps, max_size=5).map(tuple)


@given(lists)
def test_both_forms_read_back(value: Sexp) -> None:
    assert parse(canonical(value)) == value
    assert parse(advanced(value).encode("latin-1")) == value


@pytest.mark.parametrize("file", ["keys/guix-acl", "keys/guix-signing-key.pub", "keys/guix-signing-key.sec"])
def test_guix_s_files_are_written_as_guix_writes_them(file: str) -> None:
    text = (GOLDEN / file).read_bytes()
    assert advanced(parse(text)).encode() == text


@pytest.mark.parametrize("number", range(len(SIGNATURES)))
def test_guix_s_signatures_are_written_as_guix_writes_them(number: int) -> None:
    text = SIGNATURES[number]
    assert GuixSignature.parse(text.encode()).text == text


def test_every_form_of_an_atom() -> None:
    written = rb'(a "b\"\x63\144\n" #65 66# |Z2g=| 2:)( "" 0: x.y-1)'
    assert parse(written) == (b"a", b'b"cd\n', b"ef", b"gh", b")(", b"", b"", b"x.y-1")


def test_lists_are_found_wherever_they_are() -> None:
    value = parse(b"(a (b (c 1:1)) (c 1:2))")
    assert find(value, b"c") == (b"c", b"1")
    assert find(value, b"d") is None


@pytest.mark.parametrize(
    "text",
    [
        b"", b"atom", b"(", b")", b"())", b"(a) b", b"(#6#)", b"(|a|)", b'("a)', b"(5:ab)", b"(a # b)",
        b"(" * (MAX_DEPTH + 1) + b")" * (MAX_DEPTH + 1), b"(1)", b"(99999999:)",
    ],
)  # fmt: skip
def test_what_is_none_is_refused(text: bytes) -> None:
    with pytest.raises(FormatError):
        parse(text)


def test_access_control_lists() -> None:
    text = (GOLDEN / "keys/guix-acl").read_bytes()
    key = read_public_key((GOLDEN / "keys/guix-signing-key.pub").read_bytes())
    assert read_acl(text) == (key,)
    assert acl(key).encode() == text
    for wrong in (
        b"(public-key (ecc))",
        b"(acl (entry (public-key (ecc)) (tag (guix everything))))",
        b"(acl (public-key (ecc)))",
        b"(acl entry)",
    ):
        with pytest.raises(FormatError):
            read_acl(wrong)


def test_what_is_signed_depends_on_the_key_only() -> None:
    assert signed_data((b"public-key", (b"rsa",)), b"1") == (
        b"data",
        (b"flags", b"pkcs1"),
        (b"hash", b"sha256", b"1"),
    )


def test_a_signature_of_another_hash_is_none() -> None:
    with pytest.raises(FormatError, match="SHA-256"):
        GuixSignature.parse(SIGNATURES[0].replace("hash sha256", "hash sha1").encode())
