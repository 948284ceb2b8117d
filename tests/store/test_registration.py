from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest

from fruix.errors import (
    BadDerivationError,
    BadStorePathError,
    FruixError,
    InvalidPathError,
    ObjectRejectedError,
    ReferenceCycleError,
)
from fruix.model import aterm
from fruix.model.contentaddress import ContentAddress, Method
from fruix.model.derivation import Derivation, DerivationOutput
from fruix.model.drvhash import DerivationHasher, fill_outputs
from fruix.model.hashes import Hash
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath
from fruix.store.local import LocalStore
from store.helpers import file_archive, info_of, some_path, write_file


def signature(key: str, character: str) -> str:
    """A text in the form of a signature."""
    return f"{key}:{character * 86}=="


def put(store: LocalStore, name: str, data: bytes) -> PathInfo:
    """Put a file at its final name without registering it."""
    info, _ = info_of(store, name, data)
    write_file(store.real(info.path), data, 0o444)
    return info


def derivation(
    store: LocalStore, name: str, inputs: dict[StorePath, tuple[str, ...]] | None = None, **env: str
) -> Derivation:
    plain = Derivation(
        name=name,
        outputs={"out": DerivationOutput(None), "lib": DerivationOutput(None)},
        input_drvs=inputs or {},
        input_srcs=(),
        system="x86_64-linux",
        builder="/bin/sh",
        args=("-c", "true"),
        env={"out": "", "lib": "", **env},
    )
    return fill_outputs(plain, DerivationHasher(store.read_derivation), store.directory)


def add(store: LocalStore, drv: Derivation) -> StorePath:
    return store.add_text(drv.name + ".drv", aterm.render(drv), drv.references)


def test_a_set_is_registered_together(store: LocalStore) -> None:
    a, b, c = (put(store, name, name.encode()) for name in "abc")
    infos = [
        replace(a, references=tuple(sorted([a.path, b.path, c.path]))),
        replace(b, references=(c.path,)),
        replace(
            c,
            references=(c.path,),
            ultimate=True,
            signatures=(signature("k", "1"), signature("k", "2")),
            registration_time=5,
        ),
    ]
    store.register(infos)
    assert store.closure([a.path]) == {a.path, b.path, c.path}
    found = store.path_info(c.path)
    assert found == infos[2]
    later = store.path_info(a.path)
    assert later is not None
    assert later.registration_time > 1_000_000_000


def test_a_missing_reference_fails_all(store: LocalStore) -> None:
    a, b = put(store, "a", b"a"), put(store, "b", b"b")
    missing = some_path("missing", store.directory)
    with pytest.raises(InvalidPathError, match="missing") as caught:
        store.register([a, replace(b, references=(missing,))])
    assert caught.value.path == str(missing)
    assert store.all_valid_paths() == []


def test_cycles_fail_all(store: LocalStore) -> None:
    a, b, c, d = (put(store, name, name.encode()) for name in "abcd")
    cycle = [
        replace(a, references=(b.path,)),
        replace(b, references=(c.path,)),
        replace(c, references=(a.path,)),
        d,
    ]
    with pytest.raises(ReferenceCycleError, match=r"cycle detected in the references of '.*' from '.*'"):
        store.register(cycle)
    assert store.all_valid_paths() == []


def test_a_long_chain_is_no_trouble(store: LocalStore) -> None:
    infos = [put(store, f"n{number}", b"x") for number in range(3000)]
    chain = [replace(info, references=(last.path,)) for last, info in pairwise(infos)]
    store.register([*reversed(chain), infos[0]])
    assert len(store.closure([infos[-1].path])) == 3000


def test_registering_again_updates_but_keeps_the_deriver(store: LocalStore) -> None:
    drv = add(store, derivation(store, "d"))
    a = replace(put(store, "a", b"a"), deriver=drv, registration_time=5)
    store.register([a])
    store.register(
        [replace(a, deriver=None, ultimate=True, signatures=(signature("k", "s"),), registration_time=9)]
    )
    found = store.path_info(a.path)
    assert found == replace(a, ultimate=True, signatures=(signature("k", "s"),))


def test_false_content_address(store: LocalStore) -> None:
    a = put(store, "a", b"a")
    address = ContentAddress(Method.NAR, a.nar_hash)
    with pytest.raises(ObjectRejectedError, match="claims to be content-addressed but isn't"):
        store.register([replace(a, content_address=address)])
    text = ContentAddress(Method.TEXT, Hash.of("sha512", b"a"))
    with pytest.raises(ObjectRejectedError, match="sha256"):
        store.register([replace(a, content_address=text)])


@pytest.mark.parametrize("text", ["'; drop table ValidPaths; --", '"', "%_", "\\"])
def test_texts_are_stored_as_they_are(store: LocalStore, text: str) -> None:
    a = replace(put(store, "a", b"a"), signatures=(signature(text.replace(" ", ""), "s"),))
    store.register([a])
    found = store.path_info(a.path)
    assert found is not None
    assert found.signatures == a.signatures
    for bad in [text * 8, ("%" * 32)]:
        with pytest.raises(BadStorePathError):
            store.from_hash_part(bad)
    assert store.from_hash_part(a.path.hash_part) == a.path


# Derivations


def test_derivation(store: LocalStore) -> None:
    first = derivation(store, "first")
    first_path = add(store, first)
    second = derivation(store, "second", {first_path: ("out",)})
    second_path = add(store, second)
    assert store.derivation_outputs(second_path) == second.output_paths
    assert store.valid_derivers(second.output_paths["lib"]) == [second_path]
    assert store.references(second_path) == [first_path]
    assert store.referrers(first_path) == [second_path]
    assert store.read_derivation(second_path) == second


def test_a_long_chain_of_derivations(store: LocalStore) -> None:
    path = add(store, derivation(store, "d0"))
    hasher = DerivationHasher(store.read_derivation)
    for number in range(1, 300):
        plain = Derivation(
            f"d{number}",
            {"out": DerivationOutput(None)},
            {path: ("out",)},
            (),
            "s",
            "/bin/sh",
            (),
            {"out": ""},
        )
        path = add(store, fill_outputs(plain, hasher, store.directory))
    assert len(store.closure([path])) == 300
    # A fresh process has to hash the whole chain.
    store.close()
    with LocalStore(store.layout) as again:
        last = again.read_derivation(path)
        more = add(again, derivation(again, "more", {path: ("out",)}))
        assert again.references(more) == [path]
        assert last.name == "d299"


def wrong_output(drv: Derivation) -> bytes:
    path = str(drv.output_paths["lib"])
    base = path.rpartition("/")[2]
    return aterm.render(drv).replace(base.encode(), b"0" * 32 + base[32:].encode())


SPOIL: dict[str, Callable[[Derivation], bytes]] = {
    "wrong output path": wrong_output,
    "wrong builder": lambda drv: aterm.render(drv).replace(b"/bin/sh", b"/bin/XX"),
    "cut": lambda drv: aterm.render(drv)[:-1],
    "something after the end": lambda drv: aterm.render(drv) + b"\n",
    "no derivation": lambda _drv: b"hello",
    "empty": lambda _drv: b"",
    "NUL": lambda drv: aterm.render(drv).replace(b"true", b"tr\0e"),
}


@pytest.mark.parametrize("how", SPOIL)
def test_spoilt_derivations_are_refused(store: LocalStore, how: str) -> None:
    drv = derivation(store, "d")
    with pytest.raises(BadDerivationError):
        store.add_text("d.drv", SPOIL[how](drv), drv.references)
    assert store.all_valid_paths() == []
    assert [name for name in os.listdir(store.layout.store) if name.endswith("d.drv")] == []
    add(store, drv)


def test_derivation_must_refer_to_its_inputs(store: LocalStore) -> None:
    first = add(store, derivation(store, "first"))
    second = derivation(store, "second", {first: ("out",)})
    with pytest.raises(BadDerivationError, match="is not among its references"):
        store.add_text("second.drv", aterm.render(second), [])


def test_derivation_with_an_invalid_input(store: LocalStore) -> None:
    first = add(store, derivation(store, "first"))
    second = derivation(store, "second", {first: ("out",)})
    store.database.remove([first])  # its file is still there
    with pytest.raises(InvalidPathError, match=r"first\.drv"):
        add(store, second)
    assert store.all_valid_paths() == []
    with pytest.raises(InvalidPathError, match=r"first\.drv"):
        store.read_derivation(first)


def test_derivation_at_a_path_of_another(store: LocalStore) -> None:
    drv = derivation(store, "d")
    data = aterm.render(drv)
    path = some_path("d.drv", store.directory)
    archive = file_archive(data)
    info = PathInfo(path=path, nar_hash=Hash.of("sha256", archive), nar_size=len(archive))
    with pytest.raises(BadDerivationError, match="its path is not the one"):
        store.add_nar(info, [archive])
    assert store.all_valid_paths() == []


@pytest.mark.parametrize("kind", ["directory", "executable", "symlink"])
def test_derivation_that_is_no_plain_file(store: LocalStore, area: str, kind: str) -> None:
    if kind == "directory":
        os.mkdir(f"{area}/x")
    elif kind == "symlink":
        os.symlink("/etc/hostname", f"{area}/x")
    else:
        write_file(f"{area}/x", b"x", 0o755)
    with pytest.raises(BadDerivationError, match="plain file"):
        store.add_path("d.drv", f"{area}/x")
    assert store.all_valid_paths() == []
    assert [name for name in os.listdir(store.layout.store) if name.endswith("d.drv")] == []


def test_derivations_of_a_set_may_need_each_other(store: LocalStore, tmp_path: os.PathLike[str]) -> None:
    """As an import of a closure registers them."""
    first = derivation(store, "first")
    first_path = add(store, first)
    second = derivation(store, "second", {first_path: ("out",)})
    second_path = add(store, second)
    infos = [info for path in (second_path, first_path) if (info := store.path_info(path))]
    store.database.remove([second_path, first_path])
    store.register(infos)
    assert store.closure([second_path]) == {first_path, second_path}


def test_outputs_row_of_a_wanted_output(store: LocalStore) -> None:
    assert_invalid = some_path("none.drv", store.directory)
    for call in (store.derivation_outputs, store.references, store.read_derivation):
        with pytest.raises(InvalidPathError):
            call(assert_invalid)
    with pytest.raises(InvalidPathError):
        store.closure([assert_invalid])
    with pytest.raises(InvalidPathError):
        store.nar(assert_invalid)
    assert store.path_info(assert_invalid) is None
    assert store.referrers(assert_invalid) == []


def test_threads_register_derivations(store: LocalStore) -> None:
    root = add(store, derivation(store, "root"))
    errors: list[FruixError] = []

    def work(number: int) -> None:
        try:
            path = root
            for step in range(20):
                path = add(store, derivation(store, f"t{number}-{step}", {path: ("out",)}))
        except FruixError as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(store.all_valid_paths()) == 81
    assert store.verify(contents=True) == []
