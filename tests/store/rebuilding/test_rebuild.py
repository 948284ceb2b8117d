"""The database is made anew from what lies in the store, and says what the lost one said."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fruix.errors import StoreError
from fruix.model import aterm
from fruix.model.contentaddress import ContentAddress, Method
from fruix.model.derivation import Derivation, DerivationOutput
from fruix.model.drvhash import DerivationHasher, fill_outputs
from fruix.model.hashes import Hash
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath
from fruix.store.layout import Layout
from fruix.store.local import LocalStore
from fruix.store.rebuilding.rebuild import rebuild
from store.helpers import file_archive

# Every column but those that can't be known.
PATHS = "select path, hash, deriver, narSize, ca from ValidPaths order by path"
REFERENCES = """
select v.path, w.path from Refs r
join ValidPaths v on v.id = r.referrer join ValidPaths w on w.id = r.reference order by v.path, w.path
"""
OUTPUTS = """
select v.path, d.id, d.path from DerivationOutputs d join ValidPaths v on v.id = d.drv order by d.path
"""

FAILED = "select path, time from FailedPaths order by path"
KEPT = "select name from FruixKept order by name"


def rows(layout: Layout) -> list[list[Any]]:
    with closing(sqlite3.connect(layout.database)) as connection:
        return [connection.execute(query).fetchall() for query in (PATHS, REFERENCES, OUTPUTS, FAILED, KEPT)]


def derivation(
    store: LocalStore,
    name: str,
    inputs: dict[StorePath, tuple[str, ...]],
    sources: list[StorePath],
    **more: Any,
) -> StorePath:
    outputs = more.get("outputs") or {"out": DerivationOutput(None), "lib": DerivationOutput(None)}
    plain = Derivation(
        name=name,
        outputs=outputs,
        input_drvs=inputs,
        input_srcs=tuple(sorted(sources)),
        system="x86_64-linux",
        builder="/bin/sh",
        args=("-c", "true"),
        env=dict.fromkeys(outputs, ""),
    )
    filled = fill_outputs(plain, DerivationHasher(store.read_derivation), store.directory)
    return store.add_text(f"{name}.drv", aterm.render(filled), filled.references)


def output(store: LocalStore, drv: StorePath, name: str, data: bytes, *references: StorePath) -> StorePath:
    """An output as a build would leave it."""
    path = store.derivation_outputs(drv)[name]
    archive = file_archive(data)
    fixed = store.read_derivation(drv).outputs[name].content_address
    store.add_nar(
        PathInfo(
            path=path,
            nar_hash=Hash.of("sha256", archive),
            nar_size=len(archive),
            references=tuple(sorted(references)),
            deriver=drv,
            content_address=fixed,
            ultimate=True,
        ),
        [archive],
    )
    return path


def fill(store: LocalStore, tmp_path: Path) -> dict[str, StorePath]:
    """Every kind of object: texts, sources, derivations, outputs with references, fixed outputs."""
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "file").write_text("x")
    (tree / "link").symlink_to("file")
    source = store.add_path("tree", str(tree))
    flat = store.add_path("file", str(tree / "file"), Method.FLAT, "sha256")
    script = store.add_text("script", f"cat {source}/file".encode(), [source])
    sha1 = Hash.of("sha1", b"fetched")
    fetch = derivation(
        store, "fetch", {}, [script], outputs={"out": DerivationOutput(None, "sha1", sha1.base16)}
    )
    fetched = output(store, fetch, "out", b"fetched")
    lib = derivation(store, "lib", {fetch: ("out",)}, [script])
    lib_out = output(store, lib, "out", f"needs {fetched}".encode(), fetched)
    lib_lib = store.derivation_outputs(lib)["lib"]
    output(store, lib, "lib", f"needs {lib_out} and itself {lib_lib}".encode(), lib_out, lib_lib)
    user = derivation(store, "user", {lib: ("out", "lib")}, [source])
    out = output(store, user, "out", f"needs {lib_lib}".encode(), lib_lib)
    store.failures.note([store.derivation_outputs(user)["lib"]])
    return {
        "source": source,
        "flat": flat,
        "script": script,
        "lib": lib,
        "lib_out": lib_out,
        "user": user,
        "out": out,
    }


def lose(layout: Layout, how: str) -> None:
    for suffix in ("-wal", "-shm"):
        Path(layout.database + suffix).unlink(missing_ok=True)
    if how == "gone":
        os.unlink(layout.database)
    elif how == "damaged":
        Path(layout.database).write_bytes(b"not a database" * 1000)


def test_all_rows_come_back(layout: Layout, tmp_path: Path) -> None:
    with LocalStore(layout) as store:
        fill(store, tmp_path)
        Path(layout.store, f"{'b' * 32}-kept").write_text("x")
        store.database.keep(f"{'b' * 32}-kept")
    before = rows(layout)
    assert all(before)
    done = rebuild(layout)
    assert rows(layout) == before
    assert (done.registered, done.left_out) == (len(before[0]), {})
    with closing(sqlite3.connect(done.kept)) as old:
        assert old.execute(PATHS).fetchall() == before[0]
    with LocalStore(layout) as store:
        assert store.verify(contents=True) == []
        assert store.recovered == []


@pytest.mark.parametrize("how", ["gone", "damaged"])
def test_a_lost_database_comes_back(layout: Layout, tmp_path: Path, how: str) -> None:
    with LocalStore(layout) as store:
        fill(store, tmp_path)
    before = rows(layout)
    lose(layout, how)
    with pytest.raises(StoreError):
        LocalStore(layout).open()
    if how == "gone":
        lose(layout, how)  # the attempt has made an empty one
    done = rebuild(layout)
    assert rows(layout)[:3] == before[:3]
    assert bool(done.kept) == (how == "damaged")
    with LocalStore(layout) as store:
        assert store.verify(contents=True) == []


def test_what_is_not_whole_is_left_out_with_all_that_needs_it(layout: Layout, tmp_path: Path) -> None:
    with LocalStore(layout) as store:
        found = fill(store, tmp_path)
        valid = set(store.all_valid_paths())
    os.unlink(f"{layout.store}/{found['lib_out'].base}")
    os.mkfifo(f"{layout.store}/{found['lib_out'].base}")
    spoilt = f"{layout.store}/{found['user'].base}"
    os.chmod(spoilt, 0o644)
    Path(spoilt).write_bytes(Path(spoilt).read_bytes().replace(b"true", b"evil"))
    done = rebuild(layout)
    assert "unsupported type" in done.left_out[found["lib_out"]]
    assert "its path is not the one that its text gives" in done.left_out[found["user"]]
    assert "which is left out" in done.left_out[found["out"]]
    with LocalStore(layout) as store:
        assert set(store.all_valid_paths()) == valid - set(done.left_out)
        assert not store.valid_derivers(found["out"])


def test_a_derivation_without_an_input_is_left_out(layout: Layout, tmp_path: Path) -> None:
    with LocalStore(layout) as store:
        found = fill(store, tmp_path)
    os.unlink(f"{layout.store}/{found['script'].base}")
    done = rebuild(layout)
    assert done.left_out[found["lib"]].endswith(f"its input '{found['script']}' is not there")


def test_a_content_address_that_the_contents_have_not_is_not_believed(layout: Layout, tmp_path: Path) -> None:
    with LocalStore(layout) as store:
        found = fill(store, tmp_path)
    changed = f"{layout.store}/{found['flat'].base}"
    os.chmod(changed, 0o644)
    Path(changed).write_text("evil")
    rebuild(layout)
    with LocalStore(layout) as store:
        info = store.path_info(found["flat"])
        assert info is not None
        assert info.content_address is None
        whole = store.path_info(found["source"])
        assert whole is not None
        assert whole.content_address == ContentAddress(Method.NAR, whole.nar_hash)


def test_nobody_else_may_have_the_store_open(layout: Layout) -> None:
    with LocalStore(layout) as store:
        store.add_text("a", b"a")
        with pytest.raises(StoreError, match="somebody works on the store") as caught:
            rebuild(layout)
        assert str(os.getpid()) in str(caught.value)
        assert caught.value.hint == "stop the daemon first"


def test_nothing_is_changed_until_the_new_one_is_complete(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with LocalStore(layout) as store:
        fill(store, tmp_path)
    before = rows(layout)

    def fail(*_: object) -> None:
        raise OSError(5, "input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("fruix.store.rebuilding.rebuild._swap", fail)
        with pytest.raises(OSError, match="input/output error"):
            rebuild(layout)
    assert rows(layout) == before
    with LocalStore(layout) as store:
        assert store.verify(contents=True) == []
    assert rebuild(layout).registered == len(before[0])


def test_infos_with_time_and_signatures_lose_only_these(layout: Layout) -> None:
    with LocalStore(layout) as store:
        path = store.add_text("a", b"a")
        store.add_signatures(path, ["key:" + "A" * 86 + "=="])
        before = store.path_info(path)
    assert before is not None
    rebuild(layout)
    with LocalStore(layout) as store:
        after = store.path_info(path)
    assert after is not None
    assert replace(after, registration_time=before.registration_time) == replace(before, signatures=())
