"""Outputs of builds, hostile ones above all (B1 to B6 and A1, A2 of the threats in docs/isolation.md)."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Callable

import pytest

from fruix.errors import ObjectRejectedError, StoreError
from fruix.model.hashes import Hash
from fruix.store import flags
from fruix.store.local import LocalStore
from fruix.store.outputs.import_tree import OutputPolicy
from fruix.store.tree.dump import dump
from fruix.store.tree.file_contents import SizeBudget
from machine import OTHER_USERS, SEVERAL_IDS
from store.helpers import (
    BUILD_UID,
    archive,
    directory_fd,
    file_archive,
    give,
    nothing_but,
    snapshot,
    some_path,
    take,
    write_file,
)

pytestmark = SEVERAL_IDS

MODES = [False, True]


@pytest.mark.parametrize("copy", MODES)
def test_an_output_becomes_canonical(store: LocalStore, area: str, copy: bool) -> None:
    source = f"{area}/x"
    os.makedirs(f"{source}/bin")
    write_file(f"{source}/bin/run", b"#!/bin/sh\n", 0o4755)
    write_file(f"{source}/data", b"data", 0o600)
    write_file(f"{source}/odd", b"odd", 0o2654)
    os.symlink("/etc/passwd", f"{source}/link")
    os.chmod(f"{source}/bin", 0o1700)
    give(source)
    os.chmod(f"{source}/bin/run", 0o6755)
    passwd = os.lstat("/etc/passwd")
    info = take(store, source, copy=copy)
    real = store.real(info.path)
    modes = {"": 0o555, "/bin": 0o555, "/bin/run": 0o555, "/data": 0o444, "/odd": 0o444}
    assert {name: os.lstat(real + name).st_mode & 0o7777 for name in modes} == modes
    for name in [*modes, "/link"]:
        status = os.lstat(real + name)
        assert (status.st_uid, status.st_gid, status.st_mtime) == (0, 0, 1)
    assert os.readlink(f"{real}/link") == "/etc/passwd"
    assert os.lstat("/etc/passwd") == passwd
    data = archive(store, info.path)
    assert (info.nar_hash, info.nar_size) == (Hash.of("sha256", data), len(data))
    assert not os.path.lexists(source)
    assert nothing_but(store, info.path)
    assert not store.is_valid(info.path)


@pytest.mark.parametrize("copy", MODES)
def test_references_are_found(store: LocalStore, area: str, copy: bool) -> None:
    own = some_path("out", store.directory)
    inputs = [some_path(f"input{number}", store.directory) for number in range(40)]
    source = f"{area}/x"
    os.mkdir(source)
    write_file(f"{source}/big", bytes((1 << 20) - 10) + str(inputs[3]).encode() + bytes(2 << 20))
    write_file(f"{source}/self", f"at {own}/bin".encode())
    os.symlink(f"{inputs[7]}/lib", f"{source}/link")
    write_file(f"{source}/{inputs[9].base}", b"in a name")
    write_file(f"{source}/undeclared", str(some_path("undeclared", store.directory)).encode())
    give(source)
    with store.lock_paths([own]):
        info = store.stage_output(source, own, OutputPolicy(BUILD_UID, [own, *inputs], copy)).publish()
    assert info.references == tuple(sorted([own, inputs[3], inputs[7], inputs[9]]))


@pytest.mark.parametrize("copy", MODES)
@pytest.mark.parametrize("inside", [False, True])
def test_special_files_are_refused(store: LocalStore, area: str, copy: bool, inside: bool) -> None:
    source = f"{area}/x"
    if inside:
        os.mkdir(source)
    os.mkfifo(f"{source}/fifo" if inside else source, 0o600)
    give(source) if inside else os.chown(source, BUILD_UID, BUILD_UID)
    with pytest.raises(ObjectRejectedError, match="unsupported type"):
        take(store, source, copy=copy)
    assert nothing_but(store)


def hard_link_to_a_host_file(area: str) -> str:
    write_file(f"{os.path.dirname(area)}/victim", b"secret", 0o600)
    os.link(f"{os.path.dirname(area)}/victim", f"{area}/x/stolen")
    return f"{os.path.dirname(area)}/victim"


def file_of_another_user(area: str) -> str:
    write_file(f"{area}/x/foreign", b"theirs")
    os.chown(f"{area}/x/foreign", 12345, 12345)
    return ""


def link_of_another_user(area: str) -> str:
    os.symlink("x", f"{area}/x/foreign")
    return ""


@OTHER_USERS
@pytest.mark.parametrize("copy", MODES)
@pytest.mark.parametrize("plant", [hard_link_to_a_host_file, file_of_another_user, link_of_another_user])
def test_foreign_files_are_refused_untouched(
    store: LocalStore, area: str, plant: Callable[[str], str], copy: bool
) -> None:
    os.mkdir(f"{area}/x")
    give(f"{area}/x")
    victim = plant(area)
    before = snapshot(os.path.dirname(area)).get(victim)
    with pytest.raises(ObjectRejectedError, match="invalid ownership on file"):
        take(store, f"{area}/x", copy=copy)
    assert snapshot(os.path.dirname(area)).get(victim) == before
    assert nothing_but(store)


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o777])
def test_output_that_others_could_write_is_refused(store: LocalStore, area: str, mode: int) -> None:
    os.mkdir(f"{area}/x")
    os.chown(f"{area}/x", BUILD_UID, BUILD_UID)
    os.chmod(f"{area}/x", mode)
    with pytest.raises(ObjectRejectedError, match="suspicious ownership or permission"):
        take(store, f"{area}/x")


def test_output_of_another_user_is_refused(store: LocalStore, area: str) -> None:
    write_file(f"{area}/x", b"root's")
    with pytest.raises(ObjectRejectedError, match="suspicious ownership or permission"):
        take(store, f"{area}/x")
    assert os.stat(f"{area}/x").st_mode & 0o777 == 0o644


def test_output_that_is_a_symlink(store: LocalStore, area: str) -> None:
    canary = snapshot("/etc/apt")
    os.symlink("/etc/apt", f"{area}/x")
    os.lchown(f"{area}/x", BUILD_UID, BUILD_UID)
    info = take(store, f"{area}/x")
    assert os.readlink(store.real(info.path)) == "/etc/apt"
    assert os.lstat(store.real(info.path)).st_uid == 0
    assert snapshot("/etc/apt") == canary


def test_a_parent_that_is_a_symlink_is_refused(store: LocalStore, area: str) -> None:
    write_file(f"{area}/x", b"x")
    os.chown(f"{area}/x", BUILD_UID, BUILD_UID)
    os.symlink("out", f"{os.path.dirname(area)}/detour")
    with pytest.raises(StoreError, match="symlink"):
        take(store, f"{os.path.dirname(area)}/detour/x")


def test_missing_output(store: LocalStore, area: str) -> None:
    with pytest.raises(FileNotFoundError):
        take(store, f"{area}/x")
    assert nothing_but(store)


@pytest.mark.parametrize("copy", MODES)
def test_sparse_bombs_are_refused_unread(store: LocalStore, area: str, copy: bool) -> None:
    os.mkdir(f"{area}/x")
    write_file(f"{area}/x/a", bytes(1000))
    with open(f"{area}/x/b", "wb") as file:
        os.truncate(file.fileno(), 1 << 42)
    give(area)
    with pytest.raises(ObjectRejectedError, match="more than 1000000 bytes"):
        take(store, f"{area}/x", copy=copy, budget=SizeBudget(1_000_000))
    assert nothing_but(store)


def test_a_valid_path_is_not_replaced(store: LocalStore, area: str) -> None:
    write_file(f"{area}/x", b"first")
    give(area)
    info = take(store, f"{area}/x")
    store.register([info])
    write_file(f"{area}/x", b"second")
    give(area)
    with pytest.raises(StoreError, match="refusing to replace a valid path"):
        take(store, f"{area}/x")
    assert store.verify(contents=True) == []


def test_no_descriptor_is_left(store: LocalStore, area: str) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for copy in MODES:
        os.mkdir(f"{area}/x")
        write_file(f"{area}/x/foreign")
        os.chown(f"{area}/x", BUILD_UID, BUILD_UID)
        with pytest.raises(ObjectRejectedError):
            take(store, f"{area}/x", copy=copy)
        if copy:
            assert os.path.exists(f"{area}/x/foreign")
    assert len(os.listdir("/proc/self/fd")) == before


def test_attributes_go(store: LocalStore, area: str) -> None:
    os.mkdir(f"{area}/x")
    write_file(f"{area}/x/f", b"f")
    give(area)
    for name in [f"{area}/x", f"{area}/x/f"]:
        try:
            os.setxattr(name, "user.note", b"hidden")
            os.setxattr(name, "trusted.note", b"hidden")
        except OSError:
            pytest.skip("machine: the file system of the temporary directory has no extended attributes")
    info = take(store, f"{area}/x")
    for name in ["", "/f"]:
        assert set(os.listxattr(store.real(info.path) + name)) <= flags._KEPT_ATTRIBUTES


def test_garbage_at_the_final_name_is_replaced(store: LocalStore, area: str) -> None:
    path = some_path("out", store.directory)
    os.makedirs(f"{store.real(path)}/old/old")
    write_file(f"{area}/x", b"new")
    os.chown(f"{area}/x", BUILD_UID, BUILD_UID)
    take(store, f"{area}/x")
    assert archive(store, path) == file_archive(b"new")
    assert nothing_but(store, path)


def test_output_on_another_file_system(store: LocalStore, area: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "none", area], check=True)
    try:
        write_file(f"{area}/x", b"data", 0o755)
        os.chown(f"{area}/x", BUILD_UID, BUILD_UID)
        info = take(store, f"{area}/x")
        assert archive(store, info.path) == file_archive(b"data", executable=True)
        assert not os.path.lexists(f"{area}/x")
    finally:
        subprocess.run(["umount", area], check=True)


def test_nothing_foreign_is_ever_visible(store: LocalStore, area: str) -> None:
    """A rejected set-id output: no moment at which the store shows it to others."""
    os.mkdir(f"{area}/x")
    write_file(f"{area}/x/helper", b"evil")
    give(area)
    os.chmod(f"{area}/x/helper", 0o6755)
    os.mkfifo(f"{area}/x/z")  # the last in order: everything before it was processed
    with pytest.raises(ObjectRejectedError):
        take(store, f"{area}/x")
    assert nothing_but(store)
    staging = store.layout.staging[0]
    modes = [os.stat(name).st_mode for name in (staging, *(entry.path for entry in os.scandir(staging)))]
    assert [stat.S_IMODE(mode) for mode in modes] == [0o700, 0o700]


def test_depth_bomb_is_refused_and_goes(
    store: LocalStore, area: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert dump.__kwdefaults__
    monkeypatch.setitem(dump.__kwdefaults__, "max_depth", 2000)  # a real one takes long to be made
    os.mkdir(f"{area}/x")
    inner = directory_fd(f"{area}/x")
    for _ in range(3000):
        os.mkdir("d", dir_fd=inner)
        following = os.open("d", os.O_RDONLY, dir_fd=inner)
        os.fchown(following, BUILD_UID, BUILD_UID)
        os.close(inner)
        inner = following
    os.close(inner)
    os.chown(f"{area}/x", BUILD_UID, BUILD_UID)
    with pytest.raises(ObjectRejectedError, match="levels"):
        take(store, f"{area}/x")
    assert nothing_but(store)
