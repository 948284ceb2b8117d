"""FreeBSD's calls for attributes, ACLs and symlinks.

Their order and arguments, against a library that keeps a record.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fruix.store import flags


class Library:
    """Functions by name; each call is noted. A result may be a function of the arguments."""

    def __init__(self, results: dict[str, Any]) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self._functions = {name: self._function(name, result) for name, result in results.items()}

    def _function(self, name: str, result: Any) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            plain = tuple(getattr(item, "value", item) for item in arguments)
            self.calls.append((name, *plain))
            if result == -1:
                ctypes.set_errno(errno.EPERM)
            return result(*arguments) if callable(result) else result

        return call

    def __getattr__(self, name: str) -> Any:
        return self._functions[name]


def freebsd(monkeypatch: pytest.MonkeyPatch, acls: int = 0, **results: Any) -> Library:
    library = Library(results)
    monkeypatch.setattr(flags, "_LINUX", False)
    monkeypatch.setattr(flags, "_libc", library)
    monkeypatch.setattr(flags, "_has", lambda _descriptor, question: question == acls)
    return library


def attribute_list(*names: bytes) -> Callable[..., int]:
    data = b"".join(bytes([len(name)]) + name for name in names)

    def extattr_list_fd(_descriptor: int, _space: int, buffer: Any, _size: int) -> int:
        if buffer is not None:
            ctypes.memmove(buffer, data, len(data))
        return len(data)

    return extattr_list_fd


def test_extended_attributes_go(monkeypatch: pytest.MonkeyPatch) -> None:
    library = freebsd(monkeypatch, extattr_list_fd=attribute_list(b"note", b"x" * 200), extattr_delete_fd=0)
    flags.strip_attributes(7)
    assert [call for call in library.calls if call[0] == "extattr_delete_fd"] == [
        ("extattr_delete_fd", 7, 1, b"note"),
        ("extattr_delete_fd", 7, 1, b"x" * 200),
    ]


def test_an_attribute_that_stays_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    freebsd(monkeypatch, extattr_list_fd=attribute_list(b"note"), extattr_delete_fd=-1)
    with pytest.raises(OSError, match="not permitted"):
        flags.strip_attributes(7)


def test_access_lists_are_reduced_and_freed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    results = {
        "acl_get_fd_np": 100,
        "acl_strip_np": 200,
        "acl_set_fd_np": 0,
        "acl_delete_fd_np": 0,
        "acl_free": 0,
    }
    library = freebsd(monkeypatch, flags._PC_ACL_EXTENDED, extattr_list_fd=0, **results)
    directory = os.open(tmp_path, os.O_RDONLY)
    try:
        flags.strip_attributes(directory)
    finally:
        os.close(directory)
    assert [call for call in library.calls if call[0].startswith("acl")] == [
        ("acl_get_fd_np", directory, 2),
        ("acl_strip_np", 100, 0),
        ("acl_set_fd_np", directory, 200, 2),
        ("acl_free", 100),
        ("acl_free", 200),
        ("acl_delete_fd_np", directory, 3),
    ]


def test_lists_of_the_other_kind_have_no_default(monkeypatch: pytest.MonkeyPatch) -> None:
    results = {"acl_get_fd_np": 100, "acl_strip_np": 200, "acl_set_fd_np": 0, "acl_free": 0}
    library = freebsd(monkeypatch, flags._PC_ACL_NFS4, extattr_list_fd=0, **results)
    flags.strip_attributes(7)
    assert [call[:1] + call[2:] for call in library.calls if call[0] == "acl_set_fd_np"] == [
        ("acl_set_fd_np", 200, 4)
    ]


def test_a_list_that_can_not_be_set_is_an_error_and_freed(monkeypatch: pytest.MonkeyPatch) -> None:
    results = {"acl_get_fd_np": 100, "acl_strip_np": 200, "acl_set_fd_np": -1, "acl_free": 0}
    library = freebsd(monkeypatch, flags._PC_ACL_NFS4, extattr_list_fd=0, **results)
    with pytest.raises(OSError, match="not permitted"):
        flags.strip_attributes(7)
    assert library.calls[-2:] == [("acl_free", 100), ("acl_free", 200)]


def test_symlinks_get_a_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[Any, ...]] = []
    freebsd(monkeypatch)
    monkeypatch.setattr(os, "chmod", lambda *words, **more: seen.append((*words, more)))
    flags.finish_symlink_mode(7, b"link")
    assert seen == [(b"link", 0o755, {"dir_fd": 7, "follow_symlinks": False})]


def test_flags_are_cleared_only_where_there_are_some(monkeypatch: pytest.MonkeyPatch) -> None:
    library = freebsd(monkeypatch, chflagsat=0)

    class Status:
        st_flags = 2

    flags.clear(7, b"file", Status())  # type: ignore[arg-type]
    Status.st_flags = 0
    flags.clear(7, b"file", Status())  # type: ignore[arg-type]
    assert library.calls == [("chflagsat", 7, b"file", 0, 0x200)]


def _mapping(descriptor: int) -> tuple[int, ...] | None:
    """Extents of made-up files: physical offset, length and flags; None: the file system can't say."""
    return {3: (4096, 512, 0x2000), 4: (4096, 512, 0x2001), 5: (8192, 512, 0), 6: (0, 512, 0x4), 7: None}[
        descriptor
    ]


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [(3, 4, True), (3, 5, False), (6, 6, False), (7, 7, False), (8, 8, False)],
    ids=["clones", "apart", "nowhere yet", "can't say", "no extents"],
)
def test_data_at_one_place(one: int, other: int, shared: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux's FIEMAP by linux/fiemap.h: a head of 32 bytes, and an extent of 56."""

    def ioctl(descriptor: int, request: int, asked: bytes) -> bytes:
        assert request == 0xC020660B
        assert asked == struct.pack("=QQIIII", 0, (1 << 64) - 1, 0, 0, 1, 0) + bytes(56)
        if descriptor == 8:
            return asked
        found = _mapping(descriptor)
        if found is None:
            raise OSError(errno.EOPNOTSUPP, "no")
        head = struct.pack("=QQIIII", 0, (1 << 64) - 1, 0, 1, 1, 0)
        return head + struct.pack("=QQQQQIIII", 0, *found[:2], 0, 0, found[2], 0, 0, 0)

    monkeypatch.setattr(flags, "_LINUX", True)
    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    assert flags.shares_data(one, other) is shared
    monkeypatch.setattr(flags, "_LINUX", False)
    assert not flags.shares_data(one, other)


def test_a_real_file_is_at_one_place_and_its_copy_at_another(tmp_path: Path) -> None:
    with open(tmp_path / "one", "w+b") as one, open(tmp_path / "other", "w+b") as other:
        for file in (one, other):
            file.write(b"x" * 100_000)
            file.flush()
            os.fsync(file.fileno())
        assert not flags.shares_data(one.fileno(), other.fileno())
