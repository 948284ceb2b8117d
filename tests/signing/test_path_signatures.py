"""Nix's signatures, against those that nix 2.34.8 made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from fruix.errors import FormatError, FruixError
from fruix.model.contentaddress import ContentAddress
from fruix.model.hashes import Hash
from fruix.model.named_keys import PublicKey, SecretKey, by_name
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath
from fruix.signing import libcrypto, shared_library
from fruix.signing.path_signatures import PathTrust, generate, is_good, sign
from golden_data import GOLDEN, load

EXAMPLES: list[dict[str, Any]] = load("narinfo/index.json")["nix"]
SECRET = SecretKey.parse((GOLDEN / "keys/nix-test-1.secret").read_text())
PUBLIC = (GOLDEN / "keys/nix-test-1.public").read_text()


def info_of(example: dict[str, Any]) -> PathInfo:
    _, path, nar_hash, size, references = example["fingerprint"].split(";")
    refers = [StorePath.parse(text) for text in references.split(",") if text]
    return PathInfo(StorePath.parse(path), Hash.parse(nar_hash), int(size), tuple(refers))


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_signatures_are_nix_s(number: int) -> None:
    example = EXAMPLES[number]
    info = info_of(example)
    assert info.fingerprint == example["fingerprint"]
    assert sign(info, SECRET) == example["sig"]
    keys = by_name([PublicKey.parse(PUBLIC)])
    assert is_good(info, example["sig"], keys)
    assert not is_good(replace(info, nar_size=info.nar_size + 1), example["sig"], keys)


def test_keys_in_their_text() -> None:
    assert SECRET.public == PublicKey.parse(PUBLIC)
    assert str(SECRET.public) == PUBLIC.strip()
    assert SECRET.secret_text == (GOLDEN / "keys/nix-test-1.secret").read_text()
    assert generate("test-1", SECRET.seed) == SECRET
    assert "2Goqw4" not in f"{SECRET} {SECRET!r}"


@pytest.mark.parametrize("text", ["", "name", "name:", ":AAAA", "a b:AAAA", "name:%%%%", PUBLIC + "A"])
def test_no_keys(text: str) -> None:
    with pytest.raises(FormatError):
        PublicKey.parse(text)
    with pytest.raises(FormatError) as caught:
        SecretKey.parse(text)
    assert str(caught.value) == "no secret key: should be a name, a colon, and 64 bytes in base64"


def test_whom_to_believe() -> None:
    info = replace(info_of(EXAMPLES[0]), signatures=(EXAMPLES[0]["sig"],))
    trust = PathTrust.of([PUBLIC])
    assert trust.accepts(info)
    assert not trust.accepts(replace(info, signatures=()))
    assert not trust.accepts(replace(info, nar_hash=Hash.of("sha256", b"other")))
    assert not PathTrust.of([]).accepts(info)
    assert PathTrust.of([], [SECRET]).accepts(info)
    assert PathTrust.of([], required=False).accepts(replace(info, signatures=()))
    assert PathTrust.of([]).accepts(
        replace(info, content_address=ContentAddress.parse("fixed:r:" + Hash.of("sha256", b"").prefixed))
    )
    other = EXAMPLES[0]["sig"].replace("test-1", "test-2")
    assert not trust.accepts(replace(info, signatures=(other, "test-1:short", "junk")))
    # A signature of a key with another one's name.
    assert not PathTrust.of([str(PublicKey("test-1", bytes(32)))]).accepts(info)


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(shared_library, "_candidates", lambda *_: iter(("libnowhere.so.1",)))
    libcrypto.library.cache_clear()
    yield
    libcrypto.library.cache_clear()


@pytest.mark.usefixtures("nowhere")
def test_without_the_library_an_error_says_what_to_install() -> None:
    with pytest.raises(FruixError, match="need OpenSSL's libcrypto") as caught:
        sign(info_of(EXAMPLES[0]), SECRET)
    assert "libssl3" in caught.value.hint
