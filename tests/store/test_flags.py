"""FreeBSD's calls for attributes, ACLs and symlinks.

Their order and arguments, against a library that keeps a record.
"""

from __future__ import annotations

import ctypes
import errno
import os
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
