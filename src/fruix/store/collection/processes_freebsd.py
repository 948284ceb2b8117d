"""What FreeBSD's processes use, by `sysctl` (sys/sysctl.h, sys/user.h): names of files, as raw bytes.

Each answer of the kernel is an array of records with names in them that end with NUL. Only the
names matter here, so the records aren't taken apart, except for the numbers of processes.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Iterator, Sequence

# sys/sysctl.h
_CTL_KERN, _KERN_PROC = 1, 14
_KERN_PROC_PROC = 8
# What is asked of each process, and the name that it has in the list of roots.
QUESTIONS = {"exe": 12, "maps": 32, "fd": 33, "environ": 35, "cwd": 42}
# `struct kinfo_proc` on 64-bit machines: its size first, the number behind two ints and 8 pointers.
_SIZE, _PID, _PID_AT = struct.Struct("i"), struct.Struct("i"), 72
_TRIES = 8


def mentions() -> Iterator[tuple[str, bytes]]:
    """Yield where something was found (`/proc/PID/fd` and the like), and bytes that hold the names."""
    for number in processes(ask((_KERN_PROC_PROC,))):
        for name, question in QUESTIONS.items():
            yield f"/proc/{number}/{name}", ask((question, number))


def processes(records: bytes) -> Iterator[int]:
    """Yield the numbers of the processes in an array of `struct kinfo_proc`."""
    place = 0
    while place + _PID_AT + _PID.size <= len(records):
        (size,) = _SIZE.unpack_from(records, place)
        yield _PID.unpack_from(records, place + _PID_AT)[0]
        place += max(size, _PID_AT + _PID.size)


def ask(question: Sequence[int]) -> bytes:
    """The kernel's answer to `kern.proc` with these numbers; nothing for what it doesn't tell."""
    libc = ctypes.CDLL(None, use_errno=True)
    name = (ctypes.c_int * (2 + len(question)))(_CTL_KERN, _KERN_PROC, *question)
    for _ in range(_TRIES):
        size = ctypes.c_size_t(0)
        if libc.sysctl(name, len(name), None, ctypes.byref(size), None, ctypes.c_size_t(0)) != 0:
            return b""
        size.value += size.value // 2 + 4096  # it may grow meanwhile
        buffer = ctypes.create_string_buffer(size.value)
        if libc.sysctl(name, len(name), buffer, ctypes.byref(size), None, ctypes.c_size_t(0)) == 0:
            return buffer.raw[: size.value]
    return b""
