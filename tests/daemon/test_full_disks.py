"""Every way into the store stops before the disk is full and leaves nothing behind; the session goes on."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from daemon.asking import Client, client, framed
from daemon.serving import Running, running
from fruix.client import RemoteStore
from fruix.errors import FruixError, NoSpaceError
from fruix.model.contentaddress import ContentAddress, Method, path_for
from fruix.model.hashes import Hash
from fruix.model.nar import write
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath
from fruix.protocol.messages import Failure, Last
from fruix.protocol.streams import write_objects
from fruix.protocol.wire import Dialect
from fruix.sandbox.linux import libc
from fruix.store import Limits
from machine import own_mounts
from store.helpers import being_made

MIB = 1 << 20
DISK, FREE = 24 * MIB, 8 * MIB


@contextmanager
def small(tmp_path: Path, files: int = 0) -> Iterator[Running]:
    """A daemon whose store lies on a disk of 24 MiB, of which 8 have to stay free."""
    own_mounts()
    directory = tmp_path / "frx"
    directory.mkdir()
    options = f"size={DISK},mode=755" + (f",nr_inodes={files}" if files else "")
    libc.mount(b"tmpfs", str(directory).encode(), b"tmpfs", 0, options.encode())
    try:
        with running(tmp_path, limits=Limits(min_free=FREE, min_free_files=1000 if files else 0)) as daemon:
            yield daemon
    finally:
        libc.umount(str(directory).encode(), libc.MNT_DETACH)


def archive(contents: bytes) -> bytes:
    size = len(contents)
    return b"".join([write.MAGIC, write.file_head(size, executable=False), contents, write.file_tail(size)])


BIG = b"x" * (40 * MIB)


def info_of(daemon: Running, contents: bytes) -> PathInfo:
    data = archive(contents)
    address = ContentAddress(Method.NAR, Hash.of("sha256", data))
    return PathInfo(
        path_for(address, "big", daemon.store.directory), address.hash, len(data), (), content_address=address
    )


def add_flat(user: Client, _daemon: Running) -> Any:
    return user.call(7, "big", "fixed:sha256", (), False, body=framed(BIG))


def add_tree(user: Client, _daemon: Running) -> Any:
    return user.call(7, "big", "fixed:r:sha256", (), False, body=framed(archive(BIG)))


def add_nar(user: Client, daemon: Running) -> Any:
    return user.call(39, info_of(daemon, BIG), False, False, body=framed(archive(BIG)))


def add_many(user: Client, daemon: Running) -> Any:
    objects = [(info_of(daemon, BIG), iter([archive(BIG)]))]
    return user.call(44, False, False, body=framed(b"".join(write_objects(objects, 1, user.context))))


def add_text(user: Client, _daemon: Running) -> Any:
    return user.call(8, "big", BIG, ())


def add_guix(user: Client, _daemon: Running) -> Any:
    return user.call(7, "big", True, "sha256", body=archive(BIG))


WAYS: list[tuple[Callable[[Client, Running], Any], Dialect]] = [
    *((way, Dialect.NIX) for way in (add_flat, add_tree, add_nar, add_many, add_text)),
    (add_text, Dialect.GUIX),
    (add_guix, Dialect.GUIX),
]


def in_store(daemon: Running) -> Iterable[str]:
    """All there is in the store's directory, and what is being made."""
    for parent, directories, names in os.walk(daemon.store.directory):
        yield from (f"{parent}/{name}" for name in (*directories, *names))
    yield from being_made(daemon.store.layout)


@pytest.mark.parametrize(("way", "dialect"), WAYS)
def test_additions_stop_before_the_disk_is_full(
    tmp_path: Path, way: Callable[[Client, Running], Any], dialect: Dialect
) -> None:
    with small(tmp_path) as daemon:
        before = sorted(in_store(daemon))
        user = client(daemon, dialect, 38 if dialect is Dialect.NIX else 0x64)
        user.greet()
        said, _ = way(user, daemon)
        assert isinstance(said[-1], Failure)
        assert "no space for additions: " in said[-1].message
        quote = "'" if dialect is Dialect.NIX else "`"  # Guix's
        assert f"8.0 MiB have to stay free (setting {quote}min-free')" in said[-1].message
        assert sorted(in_store(daemon)) == before
        # And when it is as full as it may be, the next one isn't even begun.
        for number in itertools.count():
            said, _ = user.call(8, f"text-{number}", os.urandom(300_000), ())
            if isinstance(said[-1], Failure):
                break
        assert number > 10
        status = os.statvfs(daemon.store.directory)
        # The database's log is not counted, and is on this disk too.
        assert FREE - 4 * MIB <= status.f_bavail * status.f_frsize < FREE + MIB
        said, reply = user.call(1, info_of(daemon, b"").path)
        assert (said, reply) == ([Last()], False)


def fill(directory: str) -> None:
    """Leave not a byte."""
    with open(f"{directory}/ballast", "wb", buffering=0) as ballast:
        for size in (MIB, 4096):
            try:
                while ballast.write(bytes(size)) == size:
                    pass
            except OSError:
                continue


def test_questions_go_on_when_nothing_is_free_also_after_a_start(tmp_path: Path) -> None:
    own_mounts()
    directory = tmp_path / "frx"
    directory.mkdir()
    libc.mount(b"tmpfs", str(directory).encode(), b"tmpfs", 0, f"size={DISK},mode=755".encode())
    try:
        with running(tmp_path) as daemon, daemon.connect() as user:
            path = user.add_text("a", b"a")
            fill(str(directory))
            assert_answers(user, path, str(directory))
            with pytest.raises(NoSpaceError, match=r"no space for additions: 0\.0 MiB are free"):
                daemon.store.check_room()
        os.unlink(directory / "ballast")
        with running(tmp_path):
            pass
        for _ in range(3):  # the reserve is given up for each, and taken back
            fill(str(directory))
            with running(tmp_path) as daemon, daemon.connect() as user:
                assert_answers(user, path, str(directory), 9 * MIB)
    finally:
        libc.umount(str(directory).encode(), libc.MNT_DETACH)


def assert_answers(user: RemoteStore, path: StorePath, directory: str, size: int = 100_000) -> None:
    assert user.is_valid(path)
    info = user.path_info(path)
    assert info is not None
    assert b"".join(user.nar(path)) != b""
    assert user.add_text("a", b"a") == path, "it is there already"
    with pytest.raises(FruixError) as caught:
        user.add_text("b", os.urandom(size))
    assert isinstance(caught.value, NoSpaceError)
    assert str(caught.value).startswith(directory)
    assert "fruix gc" in caught.value.hint
    assert "I/O" not in str(caught.value)


def test_files_that_can_still_be_made_are_left_too(tmp_path: Path) -> None:
    entries = b"".join(
        b"%b%b%b%b%b" % (write.ENTRY, write_name(b"%06d" % number), write.NODE, node(), write.ENTRY_TAIL)
        for number in range(20_000)
    )
    tree = write.MAGIC + write.DIRECTORY_HEAD + entries + write.CLOSE
    with small(tmp_path, files=6000) as daemon:
        user = client(daemon)
        user.greet()
        said, _ = user.call(7, "many", "fixed:r:sha256", (), False, body=framed(tree))
        assert isinstance(said[-1], Failure)
        assert "1000 have to stay possible (setting 'min-free-files')" in said[-1].message
        assert os.statvfs(daemon.store.directory).f_favail > 5000  # it was deleted


def write_name(name: bytes) -> bytes:
    return len(name).to_bytes(8, "little") + name + bytes(-len(name) % 8)


def node() -> bytes:
    return write.file_head(0, executable=False) + write.file_tail(0)
