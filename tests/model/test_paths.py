from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fruix.errors import BadHashError, BadStorePathError, FormatError, UsageError
from fruix.model import base32
from fruix.model.buildresult import BuildStatus
from fruix.model.contentaddress import ContentAddress, Method, parse_method, path_for, render_method
from fruix.model.derivedpath import ALL, DerivedPath
from fruix.model.events import BuildFailed, BuildStarted, LogLine, from_json, to_json
from fruix.model.hashes import DIGEST_SIZES, Hash, fold
from fruix.model.makepath import fixed_path, placeholder, text_path
from fruix.model.storepath import StorePath, check_name, in_store
from golden_data import load

GOOD = "/frx/store/89j2vn5c7kwrvvgf720f1vwxg8h3x0x0-builder.sh"
HELLO = b"hello world\n"


@pytest.mark.parametrize("algorithm", sorted(DIGEST_SIZES))
def test_a_hash_is_written_like_another(algorithm: str) -> None:
    one, other = Hash.of(algorithm, b"a"), Hash.of(algorithm, b"b")
    for form in ("base16", "nix32", "base64", "sri", "prefixed", "prefixed16"):
        assert one.like(getattr(other, form)) == getattr(one, form)


FLAT = {
    "md5": "zz2hikpnqf5qh6pzibn38kvlj226m3l3",
    "sha1": "yh2p5kl59vlxlsrs8j85903v5m5yzkqb",
    "sha256": "1nkq7k14wlmwnm3fwzylwfi5aca445rf",
    "sha512": "wsb20xb7m0bk90y9p55mx0q50wb7jbix",
    "sha3-256": "zr6gj9hh0868anm4xcck4dmjai7pn6bn",
    "blake2s-256": "5wvkc9j39smrrdka3lfj7yph32dcq8zv",
}


@given(st.binary(max_size=70))
def test_nix32_round_trip(data: bytes) -> None:
    text = base32.encode(data)
    assert len(text) == base32.encoded_size(len(data))
    assert base32.decode(text, len(data)) == data


@pytest.mark.parametrize("text", ["e" * 32, "O" * 32, "A" * 32, "0" * 31, "0" * 33, "é" * 32, "z" * 52])
def test_nix32_is_strict(text: str) -> None:
    with pytest.raises(BadHashError):
        base32.decode(text, 20 if len(text) < 50 else 32)


@pytest.mark.parametrize("row", load("hashes.json")["hashes"], ids=lambda row: row["algo"])
def test_golden_hashes(row: dict[str, str]) -> None:
    value = Hash.of(row["algo"], row["input_utf8"].encode())
    assert (value.base16, value.nix32, value.sri) == (row["base16"], row["nix32"], row["sri"])
    assert Hash.parse(row["nar_nix32"], row["algo"]).base16 == row["nar_base16"]


@pytest.mark.parametrize(
    "row", load("store-paths.json")["paths"], ids=lambda row: row["path"][44:] + row.get("ca", "")
)
def test_golden_store_paths(row: dict[str, Any]) -> None:
    path = StorePath.parse(row["path"])
    references = [StorePath.parse(text) for text in row.get("references", [])]
    if "ca" in row:
        address = ContentAddress.parse(row["ca"])
        assert str(address) == row["ca"]
        assert path_for(address, row["name"], references=references) == path
    methods = {"flat": Method.FLAT, "recursive": Method.NAR}
    if row["kind"] == "fixed":
        digest = Hash.parse(row["hash_base16"], row["algo"])
        assert fixed_path(row["name"], methods[row["method"]], digest, references=references) == path
    elif row["kind"] == "text":
        assert text_path(row["name"], Hash.of("sha256", row["contents_utf8"].encode()), references) == path


@given(st.sampled_from(sorted(DIGEST_SIZES)), st.binary())
def test_hash_forms_round_trip(algorithm: str, data: bytes) -> None:
    value = Hash.of(algorithm, data)
    for text in (value.base16, value.nix32, value.base64):
        assert Hash.parse(text, algorithm) == value
        assert Hash.parse(f"{algorithm}:{text}") == value
    assert Hash.parse(value.sri) == Hash.parse(value.sri, algorithm) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256:",
        "0" * 64,
        "sha257:" + "0" * 64,
        "sha256:" + "g" * 64,
        "sha256-" + "0" * 64,
        "sha256:" + "0" * 63,
    ],
)
def test_bad_hashes(text: str) -> None:
    with pytest.raises(BadHashError):
        Hash.parse(text)
    with pytest.raises(BadHashError):
        Hash.parse("sha1:" + "0" * 40, "sha256")


def test_fold_is_no_truncation() -> None:
    assert fold(bytes(range(32))) == bytes(i ^ (i + 20) if i < 12 else i for i in range(20))


def test_flat_and_text_paths() -> None:
    for algorithm, hash_part in FLAT.items():
        path = fixed_path("hello.txt", Method.FLAT, Hash.of(algorithm, HELLO))
        assert str(path) == f"/frx/store/{hash_part}-hello.txt"
    builder = text_path("builder.sh", Hash.of("sha256", b"echo building > $out\n"))
    assert str(builder) == GOOD
    contents = f"see {builder}\n".encode()
    assert str(text_path("with-ref.txt", Hash.of("sha256", contents), [builder])) == (
        "/frx/store/5zivx8rgw6s9fr5zai70hxpibbkpf1z5-with-ref.txt"
    )


def test_recursive_path_is_the_source_form() -> None:
    nar = Hash.parse("34ca3ac63094d1d5751f741101692a78f95eedf10744b088129fc324dfd0f603", "sha256")
    assert (
        str(fixed_path("hello.txt", Method.NAR, nar))
        == "/frx/store/37szafsz2i3ami2hjhcf4f7k9xf5gz6d-hello.txt"
    )
    address = ContentAddress.parse("fixed:r:sha256:00zns3gj9hwz2a4b0i07y7nmxybq59lh24bl3xsxblcl6333mjil")
    assert address.hash == nar
    assert path_for(address, "hello.txt") == fixed_path("hello.txt", Method.NAR, nar)


def test_forms_without_references_refuse_them() -> None:
    with pytest.raises(FormatError, match="can't have references"):
        fixed_path("x", Method.FLAT, Hash.of("sha256", b""), references=[StorePath.parse(GOOD)])


def test_placeholder() -> None:
    assert placeholder("out") == "/1rz4g4znpzjwh1xymhjpm42vipw92pr73vdgl6xs1hycac8kf2n9"


@pytest.mark.parametrize("text", ["text:sha256", "fixed:sha1", "fixed:r:sha512", "fixed:git:sha1"])
def test_methods(text: str) -> None:
    assert render_method(*parse_method(text)) == text


@pytest.mark.parametrize("text", ["", "fixed", "fixed:", "text:sha257", "fixed:x:sha256", "r:sha256"])
def test_bad_methods(text: str) -> None:
    with pytest.raises(FormatError):
        parse_method(text)


@pytest.mark.parametrize("name", ["", ".", "..", ".-x", ".x", "a b", "a/b", "é", "a\n", "a" * 212, "a\0"])
def test_bad_names(name: str) -> None:
    with pytest.raises(BadStorePathError):
        check_name(name)
    with pytest.raises(BadStorePathError):
        StorePath.of("/frx/store", "0" * 32 + "-" + name)


@pytest.mark.parametrize("name", ["a", "a+b-c.d_e?f=g", "a" * 211, "-", "2.0"])
def test_good_names(name: str) -> None:
    check_name(name)
    assert StorePath.of("/frx/store", "0" * 32 + "-" + name).name == name


@pytest.mark.parametrize(
    "text",
    [
        "/frx/store",
        "/frx/store/",
        "/frx/store/abc",
        GOOD + "/y",
        GOOD.replace("/frx/store", "/frx/storex"),
        GOOD.replace("/frx/store", "/frx"),
        "/frx/store/" + "e" * 32 + "-x",
        "/frx/store/" + "0" * 32 + "_x",
        "frx/store/" + "0" * 32 + "-x",
        "/frx/store/../../etc/passwd",
        "/frx/store/" + "0" * 32 + "-x/../../etc",
        "",
    ],
)
def test_bad_paths(text: str) -> None:
    with pytest.raises(BadStorePathError):
        StorePath.parse(text)


def test_paths_are_canonicalised_as_text() -> None:
    for text in (
        GOOD,
        GOOD.replace("/store/", "/store//"),
        GOOD.replace("/store/", "/store/./x/../"),
        GOOD + "/",
    ):
        path = StorePath.parse(text)
        assert (str(path), path.name, path.hash_part) == (
            GOOD,
            "builder.sh",
            "89j2vn5c7kwrvvgf720f1vwxg8h3x0x0",
        )
    assert in_store(GOOD + "/bin/sh") == (StorePath.parse(GOOD), "/bin/sh")
    assert in_store(GOOD) == (StorePath.parse(GOOD), "")


def test_derived_paths() -> None:
    drv = StorePath.parse(GOOD + ".drv")
    assert DerivedPath.parse_nix(f"{drv}") == DerivedPath(drv)
    assert DerivedPath.parse_guix(f"{drv}") == DerivedPath(drv, ALL)
    assert DerivedPath.parse_guix(GOOD) == DerivedPath(StorePath.parse(GOOD))
    for text in (f"{drv}!*", f"{drv}!dev,out"):
        assert str(DerivedPath.parse_nix(text)) == text
    for text in (f"{drv}!", f"{drv}!a,", f"{drv}!out!", f"{drv}!out^bin"):
        with pytest.raises(UsageError):
            DerivedPath.parse_nix(text)


def test_events_round_trip() -> None:
    drv = StorePath.parse(GOOD + ".drv")
    for event in (
        BuildStarted(drv, "x", "/log", 7, 1.5),
        LogLine(drv, "é"),
        BuildFailed(drv, BuildStatus.TIMED_OUT, "m"),
    ):
        assert from_json(to_json(event)) == event
    for bad in ({}, {"event": "nothing"}, {"event": "log-line", "drv": str(drv)}):
        with pytest.raises(FormatError):
            from_json(bad)
