from __future__ import annotations

import os
from pathlib import Path

import pytest

from fruix.errors import StoreError, UsageError
from fruix.model.garbage import Goal, Keep
from fruix.model.storepath import StorePath
from fruix.store.layout import Layout
from fruix.store.local import LocalStore


def test_defaults() -> None:
    layout = Layout.from_environment({})
    assert (layout.store, layout.state, layout.log) == ("/frx/store", "/frx/var/fruix", "/frx/var/log/fruix")
    assert layout.database == "/frx/var/fruix/db/db.sqlite"
    assert layout.socket == "/frx/var/fruix/daemon-socket/socket"


def test_log_file() -> None:
    drv = StorePath.parse("/frx/store/ijb44liakykjk80g0nc41gaddhqf1kkf-simple2.drv", "/frx/store")
    name = "/frx/var/log/fruix/drvs/ij/b44liakykjk80g0nc41gaddhqf1kkf-simple2.drv"
    assert Layout().log_file(drv) == name


def test_variables_of_the_peers_count_too() -> None:
    environment = {"NIX_STORE_DIR": "/n/store/", "NIX_STATE_DIR": "/n/state", "FRUIX_STATE_DIR": "/f/state"}
    layout = Layout.from_environment(environment)
    assert (layout.store, layout.state, layout.log) == ("/n/store", "/f/state", "/frx/var/log/fruix")


@pytest.mark.parametrize("own", ["", "/n/store"])
def test_links_are_kept_where_a_variable_of_the_peers_names_the_store(tmp_path: Path, own: str) -> None:
    layout = Layout.from_environment(
        {
            "NIX_STORE_DIR": f"{tmp_path}/n/store",
            "FRUIX_STORE_DIR": own and f"{tmp_path}{own}",
            "FRUIX_STATE_DIR": f"{tmp_path}/state",
            "FRUIX_LOG_DIR": f"{tmp_path}/log",
        }
    )
    for _ in range(2):
        with LocalStore(layout) as store:
            assert os.listdir(store.directory) == ([] if own else [".links"])
            store.collect(Keep(), Goal())
        assert os.listdir(layout.store) == ([] if own else [".links"])


@pytest.mark.parametrize("value", ["store", "/a/../b", "/a//b", "/a/./b"])
def test_odd_paths_are_refused(value: str) -> None:
    with pytest.raises(UsageError, match="FRUIX_STORE_DIR"):
        Layout.from_environment({"FRUIX_STORE_DIR": value})


def test_create_makes_everything_with_its_mode(layout: Layout) -> None:
    old = os.umask(0o077)
    try:
        layout.create()
    finally:
        os.umask(old)
    modes = {
        layout.store: 0o755,
        layout.state: 0o711,
        f"{layout.state}/db": 0o700,
        f"{layout.gcroots}/auto": 0o700,
        f"{layout.profiles}/per-user": 0o711,
        layout.builds: 0o700,
        layout.userpool: 0o700,
        layout.locks: 0o700,
        layout.staging[0]: 0o700,
        os.path.dirname(layout.socket): 0o711,
        layout.logs: 0o755,
    }
    assert {path: os.stat(path).st_mode & 0o7777 for path in modes} == modes
    assert os.readlink(f"{layout.gcroots}/profiles") == "../profiles"
    layout.create()


def test_a_store_behind_a_symlink_is_refused(layout: Layout) -> None:
    os.mkdir(layout.store)
    os.symlink("store", layout.store + "-link")
    for path in [f"{layout.store}-link", f"{layout.store}-link/inner"]:
        with pytest.raises(StoreError, match="is a symlink; this is not allowed"):
            Layout(path, layout.state, layout.log).create()


def test_a_directory_that_anybody_can_change_is_refused(layout: Layout) -> None:
    os.mkdir(layout.store)
    os.chmod(layout.store, 0o777)
    with pytest.raises(StoreError, match="could be changed by others"):
        layout.create()


def test_exposed_parents(layout: Layout) -> None:
    layout.create()
    parent = os.path.dirname(layout.store)
    before = layout.exposed_parents(sticky=False)
    assert parent not in before
    os.chmod(parent, 0o1777)
    assert parent in layout.exposed_parents()
    assert layout.exposed_parents(sticky=False) == before, "the next directory is this process' own"
    os.chmod(parent, 0o777)
    assert parent in layout.exposed_parents(sticky=False)
    os.chmod(parent, 0o700)
