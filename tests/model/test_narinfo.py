"""narinfo files of the real tools, and what isn't one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fruix.errors import FormatError
from fruix.model import cacheinfo, narinfo
from fruix.model.guix_signature import read_acl
from fruix.model.named_keys import PublicKey
from fruix.model.narinfo import Archive
from fruix.signing.path_signatures import PathTrust
from fruix.signing.substitute_trust import SubstituteTrust
from golden_data import GOLDEN, load

NIX = sorted((GOLDEN / "narinfo/nix").glob("*.narinfo"))
GUIX = sorted((GOLDEN / "narinfo/guix").glob("*.narinfo"))
KEY = (GOLDEN / "keys/nix-test-1.public").read_text()
TRUST = SubstituteTrust(PathTrust.of([KEY]), lambda: read_acl((GOLDEN / "keys/guix-acl").read_bytes()))
PLAIN = (GOLDEN / "narinfo/nix/0q9kn55kcxximqmv95s0vpzhjd5l5082.narinfo").read_bytes()
SIGNED = (GOLDEN / "narinfo/guix/refs.narinfo").read_bytes()


def parse(data: bytes) -> narinfo.NarInfo:
    return narinfo.parse(data, "/frx/store")


@pytest.mark.parametrize("row", load("narinfo/index.json")["nix"], ids=lambda row: row["file"][-20:])
def test_nix(row: dict[str, str]) -> None:
    found = parse((GOLDEN / row["file"]).read_bytes())
    assert found.info.fingerprint == row["fingerprint"]
    assert row.get("sig") is None or row["sig"] in found.info.signatures
    assert TRUST.objection(found) == ("" if found.info.signatures else "it isn't signed")


def test_all_values_of_a_file_of_nix() -> None:
    found = parse((GOLDEN / "narinfo/nix/xz-unsigned.narinfo").read_bytes())
    (archive,) = found.archives
    assert archive.url == "nar/17gd6zzlkx90irc6qawagdkgh1d7qvlnq46yjf7xiqw9ycz7zq4a.nar.xz"
    assert (archive.compression, archive.size) == ("xz", 128)
    assert archive.hash is not None
    assert archive.hash.nix32 in archive.url
    assert str(found.info.deriver).endswith("-simple2.drv")
    assert (found.info.nar_size, found.info.references) == (120, ())


@pytest.mark.parametrize("file", GUIX, ids=lambda file: file.name)
def test_guix(file: object) -> None:
    data = (GOLDEN / "narinfo/guix" / getattr(file, "name", "")).read_bytes()
    found = parse(data)
    assert TRUST.objection(found) == ""
    assert found.archives[0].compression == "gzip"
    assert "access control list" in SubstituteTrust(PathTrust()).objection(found)
    assert TRUST.objection(parse(data.replace(b"NarSize: ", b"NarSize: 1"))) == (
        "its signature is of something else"
    )


def test_several_archives() -> None:
    more = b"URL: nar/zstd/x\nCompression: zstd\nFileSize: 7\nURL: nar/x\nCompression: none\n"
    head = SIGNED[: SIGNED.index(b"URL:")]
    found = parse(head + more)
    # The n-th of each; the second has no size.
    assert found.archives == (Archive("nar/zstd/x", "zstd", 7), Archive("nar/x", "none"))
    assert TRUST.objection(found) == "", "they aren't signed"


def test_a_signature_that_covers_too_little_is_none() -> None:
    begin, rest = SIGNED.split(b"Signature:")
    signature, _, more = rest.partition(b"\n")
    unsigned = b"StorePath:" + begin.partition(b"StorePath:")[2]
    moved = unsigned.replace(b"References:", b"Signature:" + signature + b"\nReferences:") + more
    assert parse(moved).guix_signature == b""


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        (b"StorePath: /frx/store/", b"StorePath: /nix/store/", "is not in the store"),
        (b"NarHash: sha256:", b"NarHash: sha256:0", "wrong length"),
        (b"NarHash: ", b"Other: ", "there is no 'NarHash'"),
        (b"NarSize: 1", b"NarSize: -1", "'NarSize' is no number of bytes: '-120'"),
        (b"NarSize: 1", b"NarSize: 9999999999999999991", "'NarSize' is no number"),
        (b"URL: ", b"Url: ", "there is no 'URL'"),
        (b"References: ", b"References: ../../etc/passwd", "etc/passwd"),
        (b"References: ", b"References: x\nReferences: ", "line 9 says 'References' again"),
        (b"Compression: none", b"nothing", "line 3 is no 'Name: value'"),
        (b"Deriver: ", b"Deriver: \xff", "no UTF-8"),
    ],
)
def test_what_is_none(before: bytes, after: bytes, why: str) -> None:
    assert before in PLAIN
    with pytest.raises(FormatError, match=why):
        parse(PLAIN.replace(before, after))


def test_what_may_be_left_out() -> None:
    short = PLAIN.replace(b"Compression: none\n", b"").replace(b"Deriver: 35", b"X: 35")
    found = parse(short + b"Unknown: x\n")
    assert found.archives[0].compression == "bzip2"
    assert found.info.deriver is None
    assert parse(PLAIN.replace(b"Deriver: ", b"Deriver: unknown-deriver\nX: ")).info.deriver is None


@given(st.binary(max_size=400) | st.text(max_size=400).map(str.encode))
def test_anything_is_a_file_or_an_error(data: bytes) -> None:
    for text in (data, PLAIN[: len(data)] + data, SIGNED[:-1] + data):
        try:
            parse(text)
        except FormatError:
            continue


def test_what_a_cache_says_of_itself() -> None:
    for world, priority in (("nix", 50), ("guix", 100)):
        found = cacheinfo.parse((GOLDEN / f"narinfo/{world}/nix-cache-info").read_bytes())
        assert (found.directory, found.priority) == ("/frx/store", priority)
    for text in (b"", b"Priority: 1\n", b"StoreDir: /x\nPriority: high\n", b"StoreDir: x\n"):
        with pytest.raises(FormatError):
            cacheinfo.parse(text)


def test_the_key_is_the_recorded_one() -> None:
    assert PublicKey.parse(KEY).name == "test-1"
