"""Objects that are directories keep their time where moving a directory changes it (UFS).

That holds for every way in which an object gets its name.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from freebsd_double import files
from fruix.model.storepath import StorePath
from fruix.store import flags
from fruix.store.layout import Layout
from fruix.store.leftovers import near_name, session_name
from fruix.store.local import LocalStore
from fruix.store.outputs.import_tree import OutputPolicy
from fruix.store.outputs.staged import Staged
from machine import SEVERAL_IDS
from store.helpers import BUILD_UID, archive, give, nothing_but, some_path, write_file

pytestmark = SEVERAL_IDS


@pytest.fixture(params=["exchange", "two renames"])
def ufs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Also with the exchange of names that UFS lacks, for whoever has both."""
    exchange = flags.exchange
    with files.as_on_ufs():
        if request.param == "exchange":
            monkeypatch.setattr(flags, "exchange", exchange)
        yield


def staged(store: LocalStore, area: str, path: StorePath, data: bytes = b"x") -> Staged:
    source = f"{area}/{path.name}"
    os.makedirs(f"{source}/d")
    write_file(f"{source}/d/f", data)
    give(source)
    return store.stage_output(source, path, OutputPolicy(BUILD_UID, ()))


def replace(store: LocalStore, output: Staged) -> None:
    with store.replacing(output.info):
        store.register([output.replace()])


def built(store: LocalStore, area: str) -> StorePath:
    path = some_path("out", store.directory)
    store.register([staged(store, area, path).publish()])
    return path


def added(store: LocalStore, area: str) -> StorePath:
    os.makedirs(f"{area}/tree/d")
    return store.add_path("tree", f"{area}/tree")


def received(store: LocalStore, area: str) -> StorePath:
    path = added(store, area)
    info = store.path_info(path)
    assert info is not None
    store.add_nar(info, [archive(store, path)], repair=True)
    return path


def repaired(store: LocalStore, area: str) -> StorePath:
    path = built(store, area)
    replace(store, staged(store, area, path, b"y"))
    return path


def missing(store: LocalStore, area: str) -> StorePath:
    path = built(store, area)
    os.rename(store.real(path), f"{area}/away")
    replace(store, staged(store, area, path))
    return path


@pytest.mark.parametrize("way", [built, added, received, repaired, missing])
def test_a_directory_has_time_one(
    store: LocalStore, area: str, ufs: None, way: Callable[[LocalStore, str], StorePath]
) -> None:
    path = way(store, area)
    real = store.real(path)
    assert [os.lstat(f"{real}{name}").st_mtime_ns for name in ("", "/d")] == [10**9, 10**9]
    assert nothing_but(store, path)


def test_a_kept_output_too(store: LocalStore, area: str, ufs: None) -> None:
    path = some_path("out", store.directory)
    staged(store, area, path).keep(f"{path.base}.check")
    assert os.lstat(f"{store.real(path)}.check").st_mtime_ns == 10**9


@pytest.mark.parametrize("way", ["repaired by a build", "received again"])
def test_a_registered_name_never_leads_to_another_time(
    store: LocalStore, area: str, ufs: None, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Whatever dies between two calls: the object had its time before it got the name."""
    path = built(store, area)
    info, nar = store.path_info(path), archive(store, path)
    assert info is not None
    fresh = staged(store, area, path, b"y")
    times: set[int] = set()

    def look() -> None:
        if os.path.lexists(store.real(path)):
            times.add(os.lstat(store.real(path)).st_mtime_ns)

    def looking(call: Callable[..., object]) -> Callable[..., object]:
        def then_look(*arguments: object, **more: object) -> object:
            result = call(*arguments, **more)
            look()
            return result

        return then_look

    monkeypatch.setattr(os, "rename", looking(files.rename))
    monkeypatch.setattr(flags, "exchange", looking(flags.exchange))
    if way == "received again":
        store.add_nar(info, [nar], repair=True)
    else:
        fresh.replace()
    assert times == {10**9}
    fresh.drop()


def test_what_a_crash_left_on_the_way_is_removed(layout: Layout) -> None:
    layout.create()
    with LocalStore(layout) as store:
        identity = store.database.identity
    os.mkdir(f"{layout.staging[0]}/{session_name(identity)}")  # of a process that died
    directory, file = (f"{layout.store}/{near_name().decode()}" for _ in range(2))
    os.mkdir(directory)
    write_file(file)
    with LocalStore(layout):
        assert not os.path.lexists(directory)
        assert not os.path.lexists(file)
