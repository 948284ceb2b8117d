"""Prepared views: the copied tree itself, how it is made, kept and deleted."""

from __future__ import annotations

import errno
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from building import host_trees
from building.host_trees import MUCH, TREES
from fruix.building import prepared_views
from fruix.building.prepared_views import PreparedViews
from fruix.hostview import ResolvedView, ViewDefinition, resolve_view
from fruix.sandbox.spec import Bind, Link
from fruix.store import Layout
from fruix.store.tree.syncing import sync_tree

old_enough = host_trees.old_enough
host = host_trees.host
place = host_trees.place
TAKEN = ("/dev", "/etc", "/proc", "/tmp", "/build", "/frx/store")


def resolve(host: Path, place: Path) -> ResolvedView:
    return resolve_view(
        ViewDefinition("many", trees=tuple(f"{host}/{tree}" for tree in TREES)), f"{place}/cache"
    )


def views_of(place: Path, room: int = MUCH, names: tuple[str, ...] = ("many",)) -> PreparedViews:
    return PreparedViews(f"{place}/prepared", f"{place}/builds", names, lambda: room)


def test_how_things_are_copied(host: Path, place: Path) -> None:
    """Copies are root's, not writable, without set-id bits, and no more readable than before.

    Names of one file stay names of one file.
    """
    tool = host / "bin/cc"
    tool.write_text("a compiler")
    tool.chmod(0o6755)
    os.link(tool, host / "bin/clang")
    (host / "bin/c++").symlink_to("clang")
    (host / "lib/secret").write_text("x")
    (host / "lib/secret").chmod(0o600)
    os.chown(host / "lib/secret", 35001, 35001)
    os.utime(tool, ns=(5, 7))
    os.utime(host / "lib", ns=(11, 13))
    resolved = resolve(host, place)
    shown = views_of(place).use(resolved, f"{place}/builds/one", TAKEN)
    (bind,) = shown.binds
    assert bind.target == "/var"
    assert shown.seen == ()
    assert shown.view == resolved.view
    copy = Path(bind.source + str(host).removeprefix("/var"))
    status = (copy / "bin/cc").stat()
    assert (status.st_mode & 0o7777, status.st_uid, status.st_gid) == (0o555, 0, 0)
    assert (status.st_nlink, status.st_mtime_ns) == (2, 7)
    assert (copy / "bin/clang").samefile(copy / "bin/cc")
    assert not (copy / "bin/cc").samefile(tool)
    assert os.readlink(copy / "bin/c++") == "clang"
    secret = (copy / "lib/secret").stat()
    assert (secret.st_mode & 0o7777, secret.st_uid, secret.st_gid) == (0o400, 0, 0)
    assert ((copy / "lib").stat().st_mode & 0o7777, (copy / "lib").stat().st_mtime_ns) == (0o555, 13)


def test_one_that_is_not_used_any_more_is_deleted_with_the_next(host: Path, place: Path) -> None:
    """In use is what a build directory has a link to."""
    prepared = views_of(place)
    kept: list[str] = []
    (place / "builds/two").mkdir()
    for number, build in enumerate(("one", "two")):
        (host / "lib/file").write_text(f"{number}")
        resolved = resolve(host, place)
        prepared.use(resolved, f"{place}/builds/{build}", TAKEN)
        kept.append(resolved.view.fingerprint)
        assert set(os.listdir(place / "prepared/many")) == set(kept)
    shutil.rmtree(place / "builds/one")
    (place / "builds/three").mkdir()
    (host / "lib/file").write_text("new")
    resolved = resolve(host, place)
    prepared.use(resolved, f"{place}/builds/three", TAKEN)
    assert set(os.listdir(place / "prepared/many")) == {kept[1], resolved.view.fingerprint}


def test_what_a_crash_left_is_deleted(host: Path, place: Path) -> None:
    """And what views have that are no longer offered."""
    resolved = resolve(host, place)
    views_of(place).use(resolved, f"{place}/builds/one", TAKEN)
    (place / "prepared/many/new/tree").mkdir(parents=True)
    (place / "prepared/gone/0123/tree").mkdir(parents=True)
    views_of(place)
    assert os.listdir(place / "prepared") == ["many"]
    assert os.listdir(place / "prepared/many") == [resolved.view.fingerprint]


@pytest.mark.parametrize(("step", "left"), [("_copy_file", ["new"]), ("_sync", ["new"]), ("sync_path", None)])
def test_killed_while_one_is_made(host: Path, place: Path, step: str, left: list[str] | None) -> None:
    """It has its name with all that it holds, or not at all; the next start goes on from there."""
    resolved = resolve(host, place)
    making = os.fork()
    if making == 0:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(prepared_views, step, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
            views_of(place).use(resolved, f"{place}/builds/one", TAKEN)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(making, 0)[1]) == -signal.SIGKILL
    assert os.listdir(place / "prepared/many") == (left or [resolved.view.fingerprint])
    (bind,) = views_of(place).use(resolved, f"{place}/builds/one", TAKEN).binds
    assert os.listdir(place / "prepared/many") == [resolved.view.fingerprint]
    names = sorted(path.relative_to(host) for path in host.rglob("*"))
    copy = Path(bind.source + str(host).removeprefix(bind.target))
    assert sorted(path.relative_to(copy) for path in copy.rglob("*")) == names


def _touch(host: Path) -> None:
    (host / "lib/file").write_text("changed")


def _fill_disk(_host: Path) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("trouble", [_touch, _fill_disk])
def test_what_can_not_be_copied_is_mounted(
    host: Path, place: Path, monkeypatch: pytest.MonkeyPatch, trouble: Callable[[Path], None]
) -> None:
    """Nothing half-made is used, or left.

    The build mounts the host's directories, and is judged by them at its end.
    """
    resolved = resolve(host, place)
    copy_file = prepared_views._copy_file

    def troubled(source: str, target: str) -> None:
        copy_file(source, target)
        trouble(host)

    monkeypatch.setattr(prepared_views, "_copy_file", troubled)
    assert views_of(place).use(resolved, f"{place}/builds/one", TAKEN) is resolved
    assert os.listdir(place / "prepared/many") == []
    assert os.listdir(place / "builds/one") == []


def test_an_error_leaves_nothing(host: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_source: str, _target: str) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(prepared_views, "_copy_file", broken)
    with pytest.raises(OSError, match="Input/output"):
        views_of(place).use(resolve(host, place), f"{place}/builds/one", TAKEN)
    assert os.listdir(place / "prepared/many") == []


def test_it_is_on_the_disk_before_it_has_its_name(
    host: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where no call syncs one file system."""
    seen: list[list[str]] = []

    def noted(parent: int, name: bytes) -> None:
        seen.append(os.listdir(place / "prepared/many"))
        sync_tree(parent, name)

    monkeypatch.setattr(prepared_views, "sync_file_system", lambda _descriptor: False)
    monkeypatch.setattr(prepared_views, "sync_tree", noted)
    views_of(place).use(resolve(host, place), f"{place}/builds/one", TAKEN)
    assert seen == [["new"]]


def test_what_is_too_young_to_tell_is_not_copied(
    host: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fruix.hostview.resolve.SETTLED_NS", 10**18)
    resolved = resolve(host, place)
    assert views_of(place).use(resolved, f"{place}/builds/one", TAKEN) is resolved


BASE = ("/bin", "/lib", "/libexec", "/usr/bin", "/usr/include", "/usr/lib", "/usr/share/mk")


@pytest.mark.parametrize(
    ("targets", "taken", "tops"),
    [
        (BASE, TAKEN, ["/bin", "/lib", "/libexec", "/usr"]),
        (
            BASE,
            ("/usr/lib/store",),
            ["/bin", "/lib", "/libexec", "/usr/bin", "/usr/include", "/usr/lib", "/usr/share"],
        ),
        (("/etc/ssl", "/tmp/x/y"), TAKEN, ["/etc/ssl", "/tmp/x"]),
        (("/frx/tools/bin",), TAKEN, ["/frx/tools"]),
        (("/etc",), TAKEN, ["/etc"]),
        (("/usr/bin", "/usr/binaries"), ("/usr/bin/x",), ["/usr/bin", "/usr/binaries"]),
    ],
    ids=["base", "inside", "beside", "store", "same", "prefix"],
)
def test_top_directories(targets: tuple[str, ...], taken: tuple[str, ...], tops: list[str]) -> None:
    assert prepared_views._tops(targets, taken) == tops


def test_links_are_in_the_tree_or_beside_it(place: Path) -> None:
    """The sandbox can't make one in what is mounted read-only."""
    (place / "bin").mkdir()
    (place / "bin/sh").write_text("x")
    resolved = resolve_view(ViewDefinition("many", trees=(f"{place}/bin",)), f"{place}/cache")
    links = (Link("/bin", "usr/bin"), Link(f"{place}/sbin", "bin"))
    moved = ResolvedView(resolved.view, (Bind(f"{place}/bin", f"{place}/bin"),), links)
    shown = views_of(place).use(moved, f"{place}/builds/one", ())
    assert shown.links == links[:1]
    (bind,) = shown.binds
    assert os.readlink(f"{bind.source}{str(place).removeprefix(bind.target)}/sbin") == "bin"


def test_only_root_may_enter(tmp_path: Path) -> None:
    layout = Layout(store=f"{tmp_path}/store", state=f"{tmp_path}/state", log=f"{tmp_path}/log")
    layout.create()
    assert os.stat(layout.prepared).st_mode & 0o777 == 0o700
