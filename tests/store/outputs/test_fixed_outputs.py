"""Fixed outputs are what was declared, before anybody sees them."""

from __future__ import annotations

import os

import pytest

from fruix.errors import HashMismatchError, ObjectRejectedError
from fruix.model.contentaddress import ContentAddress, Method
from fruix.model.hashes import Hash
from fruix.store.local import LocalStore
from machine import SEVERAL_IDS
from store.helpers import (
    BUILD_UID,
    file_archive,
    nothing_but,
    take,
    write_file,
)

pytestmark = SEVERAL_IDS


@pytest.mark.parametrize("method", [Method.FLAT, Method.NAR])
@pytest.mark.parametrize("algorithm", ["sha256", "sha512", "md5"])
def test_fixed_outputs_are_checked_before_they_are_seen(
    store: LocalStore, area: str, method: Method, algorithm: str
) -> None:
    def made(data: bytes) -> str:
        write_file(f"{area}/x", data)
        os.chown(f"{area}/x", BUILD_UID, BUILD_UID)
        return f"{area}/x"

    hashed = b"good" if method is Method.FLAT else file_archive(b"good")
    expected = ContentAddress(method, Hash.of(algorithm, hashed))
    info = take(store, made(b"good"), copy=True, expected=expected)
    assert info.content_address == expected
    store.delete_unregistered(info.path)
    with pytest.raises(HashMismatchError) as caught:
        take(store, made(b"evil"), copy=True, expected=expected)
    assert caught.value.expected == expected.hash.sri
    assert nothing_but(store)


@pytest.mark.parametrize("kind", ["executable", "directory", "symlink"])
def test_flat_fixed_outputs_are_plain_files(store: LocalStore, area: str, kind: str) -> None:
    if kind == "executable":
        write_file(f"{area}/x", b"good", 0o755)
    elif kind == "directory":
        os.mkdir(f"{area}/x")
    else:
        os.symlink("/etc/hostname", f"{area}/x")
    os.lchown(f"{area}/x", BUILD_UID, BUILD_UID)
    with pytest.raises(ObjectRejectedError, match="should be a non-executable regular file"):
        take(store, f"{area}/x", expected=ContentAddress(Method.FLAT, Hash.of("sha256", b"good")))
