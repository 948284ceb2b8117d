from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fruix.errors import (
    BadNarError,
    BadStorePathError,
    FruixError,
    HashMismatchError,
    InvalidPathError,
    ObjectRejectedError,
    StoreError,
)
from fruix.model.contentaddress import ContentAddress, Method, path_for
from fruix.model.finding import FindingKind
from fruix.model.hashes import Hash
from fruix.model.text_object import Text
from fruix.store.interface import Store
from fruix.store.local import LocalStore
from store.helpers import (
    file_archive,
    golden,
    golden_bytes,
    info_of,
    leftovers,
    make_golden_tree,
    some_path,
    write_file,
)


def as_store(store: LocalStore) -> Store:
    """The type checker proves that LocalStore implements the interface."""
    return store


def test_texts_are_added_together(store: LocalStore) -> None:
    before = store.add_text("there", b"there")
    gone = store.add_text("gone", b"gone")
    store.sync()
    os.unlink(store.real(gone))
    texts = [Text("there", b"there", ()), Text("gone", b"gone", ()), Text("new", b"", (before, gone))]
    store.add_texts([*texts, Text("newer", b"", (texts[2].path(store.directory),)), texts[2]])
    for text in texts:
        with open(store.real(text.path(store.directory)), "rb") as file:
            assert file.read() == text.contents
        assert text.path(store.directory) in store.temp_roots
    assert store.verify(contents=True) == []
    assert leftovers(store) == []
    store.add_texts([])


def test_of_texts_that_are_refused_those_before_stay(store: LocalStore) -> None:
    texts = [
        Text("one", b"", ()),
        Text("two", b"", (some_path("missing", store.directory),)),
        Text("three", b"", ()),
    ]
    with pytest.raises(InvalidPathError):
        store.add_texts(texts)
    assert store.all_valid_paths() == [texts[0].path(store.directory)]
    assert leftovers(store) == []


def test_text(store: LocalStore) -> None:
    first = as_store(store).add_text("builder.sh", b"echo building > $out\n")
    second = store.add_text("with-ref.txt", f"see {first}\n".encode(), [first])
    info = store.path_info(second)
    assert info is not None
    assert info.references == (first,)
    assert str(info.content_address) == "text:" + Hash.of("sha256", f"see {first}\n".encode()).prefixed
    assert not info.ultimate
    with open(store.real(second), "rb") as file:
        assert file.read() == f"see {first}\n".encode()
    status = os.stat(store.real(first))
    assert (status.st_mode & 0o7777, status.st_mtime, status.st_nlink) == (0o444, 1, 1)
    assert b"".join(store.nar(first)) == file_archive(b"echo building > $out\n")
    assert first in store.temp_roots
    assert store.add_text("builder.sh", b"echo building > $out\n") == first
    assert leftovers(store) == []


def test_text_with_an_invalid_reference(store: LocalStore) -> None:
    missing = some_path("missing", store.directory)
    with pytest.raises(InvalidPathError, match="missing"):
        store.add_text("x", b"x", [missing])
    assert store.all_valid_paths() == []


def test_only_ones_own_text_is_taken_back(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two add the same text without a lock.

    One of them can't register it, the other has its file there by then.
    """
    register = store._registrar.register

    def failing(_infos: object, **_how: object) -> None:
        monkeypatch.setattr(store._registrar, "register", register)
        store.add_text("shared", b"contents")  # the other one, in between
        raise StoreError("database: database or disk is full")

    monkeypatch.setattr(store._registrar, "register", failing)
    with pytest.raises(StoreError):
        store.add_text("shared", b"contents")
    assert [path.name for path in store.all_valid_paths()] == ["shared"]
    assert store.verify(contents=True) == []

    monkeypatch.setattr(store._registrar, "register", failing)
    with pytest.raises(StoreError):
        store.add_text("alone", b"something else")
    assert leftovers(store) == []


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a b", "a\nb", "x" * 212])
def test_bad_names(store: LocalStore, name: str) -> None:
    with pytest.raises(BadStorePathError):
        store.add_text(name, b"x")
    with pytest.raises(BadStorePathError):
        store.add_dump(name, Method.FLAT, "sha256", [b"x"])
    assert leftovers(store) == []


def test_path_of_the_golden_tree(store: LocalStore, area: str) -> None:
    make_golden_tree(f"{area}/tree")
    path = store.add_path("tree", f"{area}/tree")
    info = store.path_info(path)
    assert info is not None
    assert info.nar_hash.base16 == golden("nar/tree.json")["nar_sha256_base16"]
    assert str(info.content_address) == f"fixed:r:sha256:{golden('nar/tree.json')['nar_sha256_nix32']}"
    assert b"".join(store.nar(path)) == golden_bytes("nar/tree.nar")
    assert store.add_path("tree", f"{area}/tree/") == path
    assert store.verify(contents=True) == []


ALGORITHMS = ["sha256", "sha1", "md5", "sha512", "sha3-256", "blake2s-256"]


@pytest.mark.parametrize("method", [Method.FLAT, Method.NAR])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("size", [12, 3_000_000])
def test_every_method(store: LocalStore, area: str, method: Method, algorithm: str, size: int) -> None:
    data = os.urandom(size)
    write_file(f"{area}/f", data)
    hashed = data if method is Method.FLAT else file_archive(data)
    address = ContentAddress(method, Hash.of(algorithm, hashed))
    path = store.add_path("hello.txt", f"{area}/f", method, algorithm)
    assert path == path_for(address, "hello.txt", store.directory)
    info = store.path_info(path)
    assert info is not None
    assert info.nar_hash == Hash.of("sha256", file_archive(data))
    assert info.nar_size == len(file_archive(data))
    assert info.content_address == address
    again = store.add_dump("hello.txt", method, algorithm, [hashed[:7], hashed[7:]])
    assert again.path == path
    assert (again.nar_hash, again.nar_size) == (info.nar_hash, info.nar_size)
    assert leftovers(store) == []


def test_git_method_is_refused(store: LocalStore) -> None:
    with pytest.raises(ObjectRejectedError, match="git"):
        store.add_dump("x", Method.GIT, "sha1", [b""])


@pytest.mark.parametrize("kind", ["directory", "symlink", "fifo"])
def test_flat_takes_plain_files_only(store: LocalStore, area: str, kind: str) -> None:
    {"directory": os.mkdir, "symlink": lambda p: os.symlink("x", p), "fifo": os.mkfifo}[kind](f"{area}/f")
    with pytest.raises(ObjectRejectedError, match="regular file"):
        store.add_path("f", f"{area}/f", Method.FLAT)
    assert leftovers(store) == []


def test_nar(store: LocalStore) -> None:
    first, archive = info_of(store, "a", b"contents of a")
    store.add_nar(first, [archive])
    second, other = info_of(store, "b", str(first.path).encode(), [first.path])
    store.add_nar(second, [other[:5], other[5:]])
    stored = store.path_info(second.path)
    assert stored is not None
    assert stored.references == (first.path,)
    assert stored.nar_hash == second.nar_hash
    assert store.verify(contents=True) == []


def test_a_valid_path_s_archive_is_read_to_its_end(store: LocalStore) -> None:
    info, archive = info_of(store, "a", b"a")
    store.add_nar(info, [archive])
    chunks = iter([archive[:3], archive[3:]])
    store.add_nar(info, chunks)
    assert list(chunks) == []


def test_archives_that_are_not_what_was_said(store: LocalStore) -> None:
    info, archive = info_of(store, "a", b"contents")
    other = file_archive(b"CONTENTS")
    for wrong, chunks, error in [
        (info, [other], HashMismatchError),
        (replace(info, nar_size=info.nar_size + 8), [archive], HashMismatchError),
        (replace(info, nar_size=info.nar_size - 8), [archive], HashMismatchError),
        (info, [archive[:-8]], BadNarError),
        (info, [archive, b"\0" * 8], FruixError),
        (replace(info, references=(some_path("missing", store.directory),)), [archive], InvalidPathError),
    ]:
        with pytest.raises(error):
            store.add_nar(wrong, chunks)
        assert not store.is_valid(info.path)
    store.add_nar(info, [archive])
    assert leftovers(store) == []


def test_a_bomb_is_stopped_by_its_promised_size(store: LocalStore) -> None:
    info, _ = info_of(store, "a", b"x" * 1000)
    taken = 0

    def bomb() -> Iterator[bytes]:
        nonlocal taken
        yield file_archive(b"x" * 1000)[:96]
        while True:
            taken += 1
            yield bytes(500)

    with pytest.raises(FruixError):
        store.add_nar(info, bomb())
    assert taken < 10


def test_repair(store: LocalStore) -> None:
    info, archive = info_of(store, "a", b"good")
    store.add_nar(info, [archive])
    os.chmod(store.real(info.path), 0o644)
    write_file(store.real(info.path), b"evil")
    assert {finding.kind for finding in store.verify()} == {FindingKind.METADATA}
    (problem,) = store.verify(contents=True)
    assert "was modified! expected hash 'sha256:" in str(problem)
    store.add_nar(info, [archive])
    assert store.verify(contents=True) == [problem]
    store.add_nar(info, [archive], repair=True)
    assert store.verify(contents=True) == []
    os.unlink(store.real(info.path))
    assert [str(finding) for finding in store.verify()] == [f"path '{info.path}' disappeared"]


def test_garbage_at_the_final_name(store: LocalStore) -> None:
    info, archive = info_of(store, "a", b"good")
    os.makedirs(f"{store.real(info.path)}/garbage")
    store.add_nar(info, [archive])
    text = store.add_text("t", b"text")
    assert store.verify(contents=True) == []
    assert leftovers(store) == []
    assert os.path.isfile(store.real(text))


@pytest.mark.parametrize("kind", ["text", "nar", "dump"])
def test_many_threads_add_the_same(store: LocalStore, kind: str) -> None:
    """Half of the archives are corrupt; whoever wins, the contents are the right ones."""
    info, archive = info_of(store, "a", b"x" * 50_000)
    errors: list[BaseException] = []
    barrier = threading.Barrier(8)

    def add(number: int) -> None:
        barrier.wait()
        for _ in range(5):
            try:
                if kind == "text":
                    store.add_text("t", b"text" * 100)
                elif kind == "dump":
                    store.add_dump("d", Method.NAR, "sha256", [archive[:1000], archive[1000:]])
                else:
                    store.add_nar(info, [archive if number % 2 else archive.replace(b"xx", b"xy")])
            except HashMismatchError:
                continue
            except BaseException as error:  # noqa: BLE001 - the main thread looks at it
                errors.append(error)

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(store.all_valid_paths()) == 1
    assert store.verify(contents=True) == []
    assert leftovers(store) == []


@given(st.binary(max_size=3000), st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
def test_what_was_added_comes_back(store: LocalStore, data: bytes, flat: bool) -> None:
    if flat:
        info = store.add_dump("x", Method.FLAT, "sha256", [data])
    else:
        path = store.add_text("x", data)
        found = store.path_info(path)
        assert found is not None
        info = found
    assert b"".join(store.nar(info.path)) == file_archive(data)
    assert info.nar_hash == Hash.of("sha256", file_archive(data))
