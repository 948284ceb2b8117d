"""Paths that follow from contents: the hash is proven, and taken without the mentions of the path itself."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fruix.errors import (
    HashMismatchError,
    ObjectRejectedError,
)
from fruix.model.contentaddress import ContentAddress, Method, path_for
from fruix.model.hashes import Hash
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath
from fruix.store.local import LocalStore
from fruix.store.objects.content_hashes import hash_modulo
from store.helpers import (
    directory_fd,
    file_archive,
    golden,
    leftovers,
    some_path,
)


def test_content_address_is_proven(store: LocalStore) -> None:
    data = b"hello world\n"
    archive = file_archive(data)
    for method, hashed in [(Method.NAR, archive), (Method.FLAT, data), (Method.TEXT, data)]:
        for algorithm in ["sha256"] if method is Method.TEXT else ["sha256", "sha512"]:
            address = ContentAddress(method, Hash.of(algorithm, hashed))
            lie = ContentAddress(method, Hash.of(algorithm, b"something else"))
            for claimed, error in [(lie, HashMismatchError), (address, None)]:
                path = path_for(claimed, "x", store.directory)
                info = PathInfo(
                    path=path,
                    nar_hash=Hash.of("sha256", archive),
                    nar_size=len(archive),
                    references=(),
                    content_address=claimed,
                )
                if error is not None:
                    with pytest.raises(error):
                        store.add_nar(info, [archive])
                    with pytest.raises(ObjectRejectedError, match="claims to be content-addressed but isn't"):
                        store.add_nar(replace(info, path=some_path("x", store.directory)), [archive])
                else:
                    store.add_nar(info, [archive])
                assert store.is_valid(path) == (error is None)
    assert leftovers(store) == []


SELF = golden("selfref.json")


@pytest.mark.parametrize("form", ["without_positions", "with_positions"])
@pytest.mark.parametrize("size", [1, 7, 31, 32, 33, 1000])
def test_hash_modulo(form: str, size: int) -> None:
    data = bytes.fromhex(SELF["nar_hex"])
    own = SELF["input_path"].split("/")[-1][:32].encode()
    found = hash_modulo([data[i : i + size] for i in range(0, len(data), size)], own, "sha256")
    assert found[form == "with_positions"].base16 == SELF[form]["hash_base16"]


@given(st.lists(st.sampled_from([b"abc", b"ab", b"c", b"xx", b"abcabc"]), max_size=20))
def test_hash_modulo_does_not_depend_on_chunks(chunks: list[bytes]) -> None:
    data = b"".join(chunks)
    assert hash_modulo(chunks, b"abc", "sha256")[0] == Hash.of("sha256", data.replace(b"abc", bytes(3)))
    assert hash_modulo(chunks, b"abc", "sha256") == hash_modulo([data], b"abc", "sha256")


@pytest.mark.parametrize("form", ["without_positions", "with_positions"])
def test_object_that_refers_to_itself(tmp_path: os.PathLike[str], form: str) -> None:
    """Both ways to hash modulo self are accepted (the golden paths need the store directory /frx/store)."""
    from fruix.store.objects.content_hashes import check_address
    from fruix.store.tree.restore import restore

    path = StorePath.parse(SELF[form]["path"], "/frx/store")
    old = SELF["input_path"].split("/")[-1][:32].encode()
    data = bytes.fromhex(SELF["nar_hex"]).replace(old, path.hash_part.encode())
    parent = directory_fd(tmp_path)
    restore([data], parent, b"x")
    info = PathInfo(
        path=path,
        nar_hash=Hash.of("sha256", data),
        nar_size=len(data),
        references=(path,),
        content_address=ContentAddress.parse(SELF[form]["ca"]),
    )
    check_address(parent, b"x", info)
    with pytest.raises(ObjectRejectedError, match="isn't"):
        check_address(parent, b"x", replace(info, references=()))
    os.close(parent)
