"""Kept roots: what they hold, for whom they are kept, and when they are put aside."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from fruix.sandbox import Bind, Exec, File, Identity, Link, SandboxSpec, Tmpfs
from fruix.sandbox.freebsd import kept_roots, visibility
from fruix.sandbox.freebsd.abi import FileSystem
from fruix.store import Layout
from machine import SEVERAL_IDS

pytestmark = SEVERAL_IDS
UID = 35001
BUILDS = Path(Layout().builds)


def spec(base: Path, *, uid: int = UID, binds: tuple[Bind, ...] = (), data: bytes = b"x") -> SandboxSpec:
    return SandboxSpec(
        "frx-a",
        f"{base}/frx-a/root",
        Identity(uid, uid, uid, uid),
        Exec("/bin/sh", ("sh",), {}, "/"),
        binds=binds,
        links=(Link("/bin", "usr/bin"), Link("/frx/store/link", "x")),
        files=(File("/etc/passwd", data),),
        tmpfs=(Tmpfs("/memory", 0, 0o1777),),
    )


@pytest.fixture
def binds(tmp_path: Path) -> tuple[Bind, ...]:
    for name in ("view", "store", "tmp", "build", "input"):
        (tmp_path / name).mkdir()
    (tmp_path / "frx-a/root").mkdir(parents=True)
    return (
        Bind(f"{tmp_path}/view", "/usr/bin"),
        Bind(f"{tmp_path}/store", "/frx/store", writable=True),
        Bind(f"{tmp_path}/tmp", "/tmp", writable=True),
        Bind(f"{tmp_path}/build", "/build", writable=True),
        Bind(f"{tmp_path}/input", "/frx/store/input"),
    )


def test_what_a_root_holds(tmp_path: Path, binds: tuple[Bind, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    skeleton = kept_roots.skeleton_of(spec(tmp_path, binds=binds))
    assert [area.target for area in skeleton.areas] == ["/tmp", "/build"]  # the other one holds an input
    assert [bind.target for bind in skeleton.shown] == ["/usr/bin", "/frx/store"]
    assert skeleton.links == (Link("/bin", "usr/bin"),)
    monkeypatch.chdir(tmp_path / "frx-a/root")
    skeleton.make()
    found = {str(path.relative_to(Path.cwd())) for path in Path.cwd().rglob("*")}
    assert found == {"dev", "etc", "etc/passwd", "memory", "usr", "usr/bin", "frx", "frx/store", "bin"}
    assert not any(path.lstat().st_mode & 0o022 for path in Path.cwd().rglob("*") if not path.is_symlink())


def test_a_directory_inside_another_one_of_the_builds_is_mounted(tmp_path: Path) -> None:
    """Guix's contract: the builder owns the outer one and could move the inner."""
    binds = (
        Bind("/x/tmp", "/tmp", writable=True),
        Bind("/x/build", "/tmp/guix-build-a.drv-0", writable=True),
        Bind("/x/store", "/gnu/store", writable=True),
    )
    assert [area.target for area in kept_roots.skeleton_of(spec(tmp_path, binds=binds)).areas] == [
        "/gnu/store"
    ]


@pytest.mark.parametrize(
    ("change", "same"),
    [
        (lambda base, binds: spec(base, binds=binds, uid=UID + 1), False),
        (lambda base, binds: spec(base, binds=binds, data=b"y"), False),
        (lambda base, binds: spec(base, binds=binds[1:]), False),
        (lambda base, binds: spec(base, binds=binds[:2]), False),
        (lambda base, binds: spec(base, binds=(*binds, Bind("/other", "/frx/store/other"))), True),
        (lambda base, binds: spec(base, binds=(Bind("/elsewhere", "/usr/bin"), *binds[1:])), True),
    ],
)
def test_it_is_kept_for_what_needs_the_same(
    tmp_path: Path,
    binds: tuple[Bind, ...],
    change: Callable[[Path, tuple[Bind, ...]], SandboxSpec],
    same: bool,
) -> None:
    here = kept_roots.kept_root(spec(tmp_path, binds=binds))
    assert here.startswith(f"{tmp_path}/roots/{UID}-")
    assert (kept_roots.kept_root(change(tmp_path, binds)) == here) == same


def test_few_are_kept_for_each_user(tmp_path: Path) -> None:
    parent = tmp_path / "roots"
    skeleton = kept_roots.skeleton_of(spec(tmp_path))
    for number in range(kept_roots.MOST + 4):
        (tmp_path / "own").mkdir()
        kept_roots.keep(f"{tmp_path}/own", f"{parent}/{UID}-{number}/root", skeleton, busy(parent, "0"))
        os.utime(parent / f"{UID}-{number}", (number, number))
        if number == 1:
            (parent / f"{UID}-1/areas").unlink()  # spoiled: for the next start
    (parent / f"{UID + 1}-0").mkdir()
    kept = {int(name.partition("-")[2]) for name in os.listdir(parent) if name.startswith(f"{UID}-")}
    assert {0, 1} <= kept  # something is mounted in one, and the other isn't known to be clean
    assert len(kept) <= kept_roots.MOST + 2
    assert kept >= set(range(6, kept_roots.MOST + 4))
    assert stat.S_IMODE(parent.stat().st_mode) == 0o700


def busy(parent: Path, name: str) -> list[FileSystem]:
    return [FileSystem(b"nullfs", b"", os.fsencode(parent / f"{UID}-{name}/root/usr/bin"))]


def test_one_that_still_holds_something_of_a_build_is_put_aside(tmp_path: Path) -> None:
    area = Bind(f"{tmp_path}/build", "/build", writable=True)
    wanted = spec(tmp_path, binds=(area,))
    skeleton, root = kept_roots.skeleton_of(wanted), kept_roots.kept_root(wanted)
    (tmp_path / "own").mkdir()
    assert not kept_roots.usable(root, skeleton)
    kept_roots.keep(f"{tmp_path}/own", root, skeleton, [])
    assert kept_roots.usable(root, skeleton)
    (tmp_path / "build").mkdir()
    visibility.move_in(area, root, 0)
    assert not kept_roots.usable(root, skeleton)
    (aside,) = tmp_path.glob("frx-aside-*")  # by this name the next start deletes it
    assert (aside / "root/build").is_dir()
    assert os.listdir(tmp_path / "roots") == []


def test_a_flag_on_a_directory_does_not_keep_it_in_the_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A builder may have made its own directory immutable; then it can't be moved, not even by root."""
    area = Bind(f"{tmp_path}/build", "/build", writable=True)
    for name in ("root", "build"):
        (tmp_path / name).mkdir()
    visibility.move_in(area, f"{tmp_path}/root", 0)
    flagged, rename, lstat = {f"{tmp_path}/root/build"}, os.rename, os.lstat

    def immutable(path: str, *rest: object, **directories: int | None) -> None:
        if path in flagged:
            raise PermissionError(errno.EPERM, path)
        rename(path, *rest, **directories)  # type: ignore[arg-type]

    def clear(path: str, flags: int, *, follow_symlinks: bool) -> None:
        assert (flags, follow_symlinks) == (0, False)
        flagged.discard(path)

    def flags_of(path: str, *, dir_fd: int | None = None) -> object:
        return (
            SimpleNamespace(st_flags=2, st_mode=stat.S_IFDIR)
            if path in flagged
            else lstat(path, dir_fd=dir_fd)
        )

    monkeypatch.setattr(os, "lstat", flags_of)
    monkeypatch.setattr(os, "rename", immutable)
    monkeypatch.setattr(os, "chflags", clear, raising=False)
    visibility.move_out(area, f"{tmp_path}/root")
    assert (tmp_path / "build").is_dir()
    visibility.move_out(area, f"{tmp_path}/root")  # once more is fine


def test_a_start_puts_aside_what_a_crash_spoiled(tmp_path: Path) -> None:
    skeleton = kept_roots.skeleton_of(spec(tmp_path, binds=(Bind("/x", "/build", writable=True),)))
    for name in ("clean", "spoiled"):
        (tmp_path / "own").mkdir()
        kept_roots.keep(f"{tmp_path}/own", f"{tmp_path}/roots/{name}/root", skeleton, [])
    (tmp_path / "roots/spoiled/root/build").mkdir()
    (tmp_path / "roots/half").mkdir()
    kept_roots.put_aside_spoiled(str(tmp_path))
    assert os.listdir(tmp_path / "roots") == ["clean"]
    assert len(list(tmp_path.glob("frx-aside-*"))) == 2
