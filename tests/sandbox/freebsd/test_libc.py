"""What the C library is called with: the memory of the arrays, the types of the arguments.

Works without FreeBSD's library.
"""

from __future__ import annotations

import ctypes
import struct
from typing import Any

import pytest

from fruix.sandbox.freebsd import abi, libc, mounts
from fruix.sandbox.freebsd.kernel import KernelError


def raw(array: ctypes.Array[libc.Iovec]) -> list[tuple[int, int]]:
    """(address, length) of each element, from the array's own bytes: two words of 64 bits each."""
    memory = ctypes.string_at(ctypes.addressof(array), 16 * len(array))
    return [struct.unpack_from("<QQ", memory, 16 * index) for index in range(len(array))]


def test_vectors_alternate_names_and_values() -> None:
    answer = bytearray(256)
    pairs = [(b"name\0", b"frx-x\0"), (b"persist\0", None), (b"errmsg\0", answer)]
    array, kept = libc.iovecs(pairs)
    vectors = raw(array)
    assert [length for _, length in vectors] == [5, 6, 8, 0, 7, 256]
    assert ctypes.string_at(vectors[0][0], 5) == b"name\0"
    assert ctypes.string_at(vectors[1][0], 6) == b"frx-x\0"
    assert vectors[3] == (0, 0)
    ctypes.memmove(vectors[5][0], b"name in use", 11)  # as the kernel writes into it
    assert abi.errmsg_of(pairs) == "name in use"
    assert kept


class _Function:
    """Stands for a function of the library: remembers its arguments, answers and fails as told."""

    def __init__(self, result: int = 0, number: int = 0, errmsg: bytes = b"") -> None:
        self.result, self.number, self.errmsg = result, number, errmsg
        self.calls: list[tuple[Any, ...]] = []

    def __call__(self, *arguments: Any) -> int:
        self.calls.append(arguments)
        if self.errmsg:
            ctypes.memmove(raw(arguments[0])[-1][0], self.errmsg, len(self.errmsg))
        ctypes.set_errno(self.number)
        return self.result


class _Library:
    def __init__(self, **functions: _Function) -> None:
        for name in libc._PROTOTYPES:
            setattr(self, name, functions.get(name, _Function()))


def calls(monkeypatch: pytest.MonkeyPatch, **functions: _Function) -> libc.Libc:
    library = _Library(**functions)
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: library)
    return libc.Libc()


def test_nmount(monkeypatch: pytest.MonkeyPatch) -> None:
    nmount = _Function()
    kernel = calls(monkeypatch, nmount=nmount)
    mounts.mount(kernel, mounts.nullfs("/usr/bin", "/b/root/usr/bin"), abi.MNT_RDONLY | abi.MNT_NOSUID)
    ((vectors, count, flags),) = nmount.calls
    assert (count, flags) == (10, 9)
    assert [length for _, length in raw(vectors)] == [7, 7, 7, 16, 5, 9, 13, 0, 7, 255]
    assert nmount.argtypes == (ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)  # type: ignore[attr-defined]


def test_a_failure_carries_errno_and_errmsg(monkeypatch: pytest.MonkeyPatch) -> None:
    jail_set = _Function(-1, 22, b"unknown parameter: foo.bar\0")
    kernel = calls(monkeypatch, jail_set=jail_set)
    pairs = [abi.text("foo.bar", b"x"), abi.buffer("errmsg", 256)]
    with pytest.raises(KernelError) as caught:
        kernel.jail_set(pairs, abi.JAIL_CREATE | abi.JAIL_ATTACH)
    assert (caught.value.errno, caught.value.call) == (22, "jail_set")
    assert caught.value.errmsg == "unknown parameter: foo.bar"
    assert jail_set.calls[0][1:] == (4, 5)


def test_unmount_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    unmount = _Function()
    calls(monkeypatch, unmount=unmount).unmount(b"FSID:-3:41", abi.MNT_FORCE | abi.MNT_BYFSID)
    assert unmount.calls == [(b"FSID:-3:41", 0x8080000)]


def test_procctl_and_ioctl(monkeypatch: pytest.MonkeyPatch) -> None:
    procctl, ioctl = _Function(), _Function()
    kernel = calls(monkeypatch, procctl=procctl, ioctl=ioctl)
    kernel.procctl(815, abi.PROC_REAP_ACQUIRE, None)
    kernel.procctl(0, abi.PROC_NO_NEW_PRIVS_CTL, bytearray(b"\1\0\0\0"))
    kernel.ioctl(5, abi.SIOCAIFADDR, abi.loopback_address())
    assert procctl.calls[0] == (0, 815, 2, None)
    assert procctl.calls[1][:3] == (0, 0, 19)
    assert bytes(procctl.calls[1][3]) == b"\1\0\0\0"
    assert ioctl.calls[0][:2] == (5, 0x8044692B)
    assert len(ioctl.calls[0][2]) == 68
    assert ioctl.argtypes[1] is ctypes.c_ulong  # type: ignore[attr-defined] # 32 bits would lose the direction
    assert procctl.argtypes[1] is ctypes.c_int64  # type: ignore[attr-defined]


def test_limits_count_their_nul(monkeypatch: pytest.MonkeyPatch) -> None:
    add = _Function(-1, 78)
    kernel = calls(monkeypatch, rctl_add_rule=add)
    with pytest.raises(KernelError):
        kernel.rctl_add_rule(b"jail:frx-x:maxproc:deny=100")
    assert add.calls == [(b"jail:frx-x:maxproc:deny=100", 28, None, 0)]
