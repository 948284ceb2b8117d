"""The signature of `InRelease`: what is trusted, and what is refused with which words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from debian_archive import DATE, Key, new_key, write_suite
from fruix.cli.debian.mirror import Suite
from fruix.errors import FormatError, FruixError, UsageError

PACKAGES = {"amd64": "Package: top\n"}


@pytest.fixture(scope="module")
def key() -> Iterator[Key]:
    with new_key() as key:
        yield key


def suite(top: Path) -> Suite:
    return Suite("stable", (f"file://{top}",))


def test_what_is_signed_is_read(tmp_path: Path, key: Key) -> None:
    write_suite(tmp_path, PACKAGES, key.sign)
    release = suite(tmp_path).release(str(key.keyring))
    assert (release.date, release.suites) == (DATE, frozenset({"stable", "tortoise"}))
    assert suite(tmp_path).packages(release, "amd64") == PACKAGES["amd64"]


@pytest.mark.parametrize("form", ["", ".gz", ".xz"])
def test_every_way_of_packing(tmp_path: Path, form: str) -> None:
    write_suite(tmp_path, PACKAGES, str.encode, forms=(form,))
    found = suite(tmp_path)
    assert found.packages(found.release(None), "amd64") == PACKAGES["amd64"]


def test_only_what_is_signed_counts(tmp_path: Path, key: Key) -> None:
    """Text before the signed part, as one on the way may put there."""
    write_suite(tmp_path, PACKAGES, key.sign)
    file = tmp_path / "dists/stable/InRelease"
    file.write_bytes(b"Date: Fri, 01 Jan 2027 00:00:00 UTC\n\n" + file.read_bytes())
    assert suite(tmp_path).release(str(key.keyring)).date == DATE


def test_one_good_signature_of_several_is_enough(tmp_path: Path, key: Key) -> None:
    with new_key("Other") as other:
        keys = (key.keyring.read_bytes(), other.keyring.read_bytes())
        write_suite(tmp_path, PACKAGES, other.sign)
        both = tmp_path / "both.gpg"
        both.write_bytes(b"".join(keys))
        assert suite(tmp_path).release(str(both)).date == DATE
        with pytest.raises(UsageError, match="No public key"):
            suite(tmp_path).release(str(key.keyring))


def changed(data: bytes) -> bytes:
    return data.replace(b"Origin: Test", b"Origin: Tess")


UNTRUSTED: Mapping[str, Callable[[bytes], bytes]] = {
    "BAD signature": changed,
    "it has none": lambda data: data.split(b"\n\n", 1)[1].split(b"-----BEGIN")[0],
}


@pytest.mark.parametrize("words", UNTRUSTED)
def test_what_is_not_trusted(tmp_path: Path, key: Key, words: str) -> None:
    write_suite(tmp_path, PACKAGES, key.sign)
    file = tmp_path / "dists/stable/InRelease"
    file.write_bytes(UNTRUSTED[words](file.read_bytes()))
    with pytest.raises(UsageError) as caught:
        suite(tmp_path).release(str(key.keyring))
    assert "no good signature" in caught.value.message
    assert "--insecure" in caught.value.hint
    assert suite(tmp_path).release(None).date == DATE


def test_a_keyring_that_is_not_there(tmp_path: Path, key: Key) -> None:
    write_suite(tmp_path, PACKAGES, key.sign)
    with pytest.raises(UsageError, match="no such keyring") as caught:
        suite(tmp_path).release(str(tmp_path / "none"))
    assert "debian-archive-keyring" in caught.value.hint


def test_without_gpgv(tmp_path: Path, key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    write_suite(tmp_path, PACKAGES, key.sign)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="gpgv is not installed"):
        suite(tmp_path).release(str(key.keyring))


def test_an_index_that_is_out_of_date(tmp_path: Path, key: Key) -> None:
    write_suite(tmp_path, PACKAGES, key.sign, valid_until="Sun, 02 Aug 2020 10:00:00 UTC")
    with pytest.raises(UsageError, match="valid until Sun, 02 Aug 2020"):
        suite(tmp_path).release(str(key.keyring))
    assert suite(tmp_path).release(None).valid_until


def test_another_suite_under_this_one_s_name(tmp_path: Path, key: Key) -> None:
    write_suite(tmp_path, PACKAGES, key.sign, suite="stable").joinpath("dists/stable").rename(
        tmp_path / "dists/unstable"
    )
    with pytest.raises(UsageError, match="of suite stable or tortoise, not of unstable"):
        Suite("unstable", (f"file://{tmp_path}",)).release(str(key.keyring))


WRONG: Mapping[str, str] = {
    "Date": "Suite: stable\nSHA256:\n 00 1 x\n",
    "SHA256": f"Suite: stable\nDate: {DATE}\n",
    "int()": f"Suite: stable\nDate: {DATE}\nSHA256:\n 00 many x\n",
}


@pytest.mark.parametrize("words", WRONG)
def test_an_index_that_is_none(tmp_path: Path, words: str) -> None:
    write_suite(tmp_path, {}, lambda _: WRONG[words].encode())
    with pytest.raises(FormatError) as caught:
        suite(tmp_path).release(None)
    assert words in caught.value.message


def test_packages_that_are_not_those_of_the_index(tmp_path: Path) -> None:
    write_suite(tmp_path, PACKAGES, str.encode)
    (file,) = (tmp_path / "dists/stable/main/binary-amd64/by-hash/SHA256").iterdir()
    file.write_bytes(b"others")
    found = suite(tmp_path)
    with pytest.raises(FormatError, match="SHA-256") as caught:
        found.packages(found.release(None), "amd64")
    assert caught.value.where == "main/binary-amd64/Packages.xz"


def test_packages_that_cannot_be_unpacked(tmp_path: Path) -> None:
    write_suite(tmp_path, PACKAGES, str.encode, forms=("",))
    index = tmp_path / "dists/stable/InRelease"
    index.write_text(index.read_text().replace("/Packages\n", "/Packages.xz\n"))
    found = suite(tmp_path)
    with pytest.raises(FormatError, match="can't be unpacked"):
        found.packages(found.release(None), "amd64")


def test_an_architecture_that_the_suite_has_not(tmp_path: Path) -> None:
    write_suite(tmp_path, PACKAGES, str.encode)
    found = suite(tmp_path)
    with pytest.raises(UsageError, match="no packages for architecture 'vax'"):
        found.packages(found.release(None), "vax")


def test_the_next_mirror_is_asked(tmp_path: Path) -> None:
    write_suite(tmp_path, PACKAGES, str.encode)
    mirrors = (f"file://{tmp_path}/none", "gopher://example.org/debian", f"file://{tmp_path}/")
    assert Suite("stable", mirrors).release(None).date == DATE


def test_a_suite_that_no_mirror_has(tmp_path: Path) -> None:
    mirrors = (f"file://{tmp_path}/a", "gopher://example.org/b")
    with pytest.raises(FruixError) as caught:
        Suite("stable", mirrors).release(None)
    assert all(mirror in caught.value.message for mirror in mirrors)
    assert "--mirror" in caught.value.hint
