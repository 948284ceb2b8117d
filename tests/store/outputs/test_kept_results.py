"""Results that are kept for people to look at: they take no place of an object, and outlive a crash."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from fruix.model.storepath import StorePath
from fruix.store.layout import Layout
from fruix.store.leftovers import session_name
from fruix.store.local import LocalStore
from fruix.store.outputs.import_tree import OutputPolicy
from fruix.store.outputs.staged import Staged
from store.helpers import BUILD_UID, info_of, nothing_but, some_path, write_file


def staged_output(store: LocalStore, area: Path, path: StorePath) -> Staged:
    source = f"{area}/o"
    write_file(source, b"differs")
    os.chown(source, BUILD_UID, BUILD_UID)
    return store.stage_output(source, path, OutputPolicy(BUILD_UID, ()))


def test_a_result_that_is_kept_takes_the_place_of_no_object(store: LocalStore, tmp_path: Path) -> None:
    path = some_path("out", store.directory)
    # Nobody can make an object of that name on purpose, but a cache or a trusted user can bring it.
    info, archive = info_of(store, "out", b"mine")
    same_name = replace(info, path=StorePath.of(store.directory, f"{path.base}.check"))
    store.add_nar(same_name, [archive])
    staged = staged_output(store, tmp_path, path)
    assert store.keep_result(staged, ".check") == ""
    staged.drop()
    store.remove_result(path, ".check")
    assert Path(store.real(same_name.path)).read_bytes() == b"mine"
    staged = staged_output(store, tmp_path, path)
    assert store.keep_result(staged, "-repeat") == f"{path}-repeat"
    assert nothing_but(store, same_name.path, StorePath.of(store.directory, f"{path.base}-repeat"))
    store.remove_result(path, "-repeat")
    assert nothing_but(store, same_name.path)


def test_what_is_kept_outlives_a_crash(layout: Layout, tmp_path: Path) -> None:
    with LocalStore(layout) as store:
        path = some_path("out", store.directory)
        store.keep_result(staged_output(store, tmp_path, path), ".check")
        identity = store.database.identity
    os.mkdir(f"{layout.staging[0]}/{session_name(identity)}")
    with LocalStore(layout) as store:
        assert store.swept.removed == []
        assert os.listdir(layout.store) == [f"{path.base}.check"]
