"""FreeBSD's C library through ctypes: the calls of `kernel.Kernel`, and nothing else.

Arguments are packed, errno and errmsg turned into exceptions.

The library is looked up when the first `Libc` is made, so the module can be imported, and its
packing tested, on any system. From 15 on the stubs live in libsys, which libc pulls in and
re-exports. Every function gets its argument types, as ctypes would pass a bare integer as 32 bits;
errno is read right after the call; buffers stay referenced until it has returned.
"""

from __future__ import annotations

import ctypes
import errno
import resource
from collections.abc import Sequence
from ctypes import c_char, c_char_p, c_int, c_int64, c_long, c_size_t, c_uint, c_ulong, c_void_p

from fruix.overriding import override
from fruix.sandbox.freebsd import abi
from fruix.sandbox.freebsd.abi import FileSystem, Pair
from fruix.sandbox.freebsd.kernel import Kernel, KernelError

# Between asking how much there is and getting it, more may come: this much room besides.
_SLACK = 4


class Iovec(ctypes.Structure):
    """`struct iovec`: an address and a length, 16 bytes on LP64 machines."""

    _fields_ = (("base", c_void_p), ("length", c_size_t))


# name → (result, arguments); c_void_p also for pointers to what we only pass on.
_PROTOTYPES: dict[str, tuple[type[ctypes._SimpleCData[int]] | None, tuple[type, ...]]] = {
    "nmount": (c_int, (c_void_p, c_uint, c_int)),
    "unmount": (c_int, (c_char_p, c_int)),
    "getfsstat": (c_int, (c_void_p, c_long, c_int)),
    "jail_set": (c_int, (c_void_p, c_uint, c_int)),
    "jail_get": (c_int, (c_void_p, c_uint, c_int)),
    "jail_remove": (c_int, (c_int,)),
    "procctl": (c_int, (c_int, c_int64, c_int, c_void_p)),
    "ioctl": (c_int, (c_int, c_ulong, c_void_p)),
    "sysctl": (c_int, (c_void_p, c_uint, c_void_p, c_void_p, c_void_p, c_size_t)),
    "sysctlbyname": (c_int, (c_char_p, c_void_p, c_void_p, c_void_p, c_size_t)),
    "rctl_add_rule": (c_int, (c_char_p, c_size_t, c_void_p, c_size_t)),
    "rctl_remove_rule": (c_int, (c_char_p, c_size_t, c_void_p, c_size_t)),
    "setlogin": (c_int, (c_char_p,)),
    "closefrom": (None, (c_int,)),
}


def iovecs(pairs: Sequence[Pair]) -> tuple[ctypes.Array[Iovec], list[object]]:
    """The array for a call, and what has to stay alive until the call returns.

    Two elements a pair: name, value.
    """
    kept: list[object] = []
    vectors = (Iovec * (2 * len(pairs)))()
    for index, part in enumerate(part for pair in pairs for part in pair):
        if part is None:
            continue  # base NULL, length 0
        memory = _memory(part)
        kept.append(memory)
        vectors[index] = Iovec(ctypes.addressof(memory), len(part))
    return vectors, kept


def _memory(value: bytes | bytearray) -> ctypes.Array[c_char]:
    """A `bytearray` is shared with the kernel, `bytes` are copied."""
    kind = c_char * len(value)
    return kind.from_buffer(value) if isinstance(value, bytearray) else kind.from_buffer_copy(value)


class Libc(Kernel):
    """The running kernel's calls; their names are those of the manual pages."""

    def __init__(self) -> None:
        library = ctypes.CDLL(None, use_errno=True)
        if not hasattr(library, "nmount"):
            library = ctypes.CDLL("libc.so.7", use_errno=True)  # a static interpreter
        for name, (result, arguments) in _PROTOTYPES.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
        self._library = library

    @override
    def nmount(self, options: Sequence[Pair], flags: int) -> None:
        self._pairs("nmount", options, flags)

    @override
    def unmount(self, path: bytes, flags: int) -> None:
        self._call("unmount", path, flags, what=path.decode(errors="replace"))

    @override
    def getfsstat(self) -> list[FileSystem]:
        """getfsstat(2), without waiting for file systems that don't answer."""
        count = self._call("getfsstat", None, 0, abi.MNT_NOWAIT) + _SLACK
        table = ctypes.create_string_buffer(count * abi.STATFS_SIZE)
        count = self._call("getfsstat", table, len(table), abi.MNT_NOWAIT)
        return abi.file_systems_in(table.raw[: count * abi.STATFS_SIZE])

    @override
    def jail_set(self, parameters: Sequence[Pair], flags: int) -> int:
        return self._pairs("jail_set", parameters, flags)

    @override
    def jail_get(self, parameters: Sequence[Pair], flags: int) -> int:
        return self._pairs("jail_get", parameters, flags)

    @override
    def jail_remove(self, jid: int) -> None:
        self._call("jail_remove", jid)

    @override
    def procctl(self, pid: int, command: int, argument: bytearray | None) -> None:
        memory = None if argument is None else _memory(argument)
        self._call("procctl", abi.P_PID, pid, command, memory, what=str(command))

    @override
    def ioctl(self, descriptor: int, request: int, argument: bytearray) -> None:
        self._call("ioctl", descriptor, request, _memory(argument), what=f"{request:#x}")

    @override
    def sysctl(self, name: bytes) -> bytes:
        size = c_size_t()
        self._call("sysctlbyname", name, None, ctypes.byref(size), None, 0, what=name.decode())
        value = ctypes.create_string_buffer(size.value or 1)
        self._call("sysctlbyname", name, value, ctypes.byref(size), None, 0, what=name.decode())
        return value.raw[: size.value]

    @override
    def processes_of(self, uid: int) -> list[int]:
        """sysctl(3), by effective and by real user."""
        kinds = (abi.KERN_PROC_UID, abi.KERN_PROC_RUID)
        return sorted({process.pid for kind in kinds for process in self._processes(*kind, uid)})

    @override
    def usage_beside(self, pid: int) -> tuple[int, int, int] | None:
        """sysctl(3), by number and by real user."""
        try:
            users = [process.uid for process in self._processes(*abi.KERN_PROC_PID, pid)]
        except KernelError as error:
            if error.errno == errno.ESRCH:
                return None
            raise
        found = [process for uid in users for process in self._processes(*abi.KERN_PROC_RUID, uid)]
        pages = sum(process.pages for process in found)
        cpu = sum(process.cpu_us for process in found)
        return (cpu, pages * resource.getpagesize(), len(found)) if found else None

    @override
    def rctl_add_rule(self, rule: bytes) -> None:
        self._call("rctl_add_rule", rule, len(rule) + 1, None, 0, what=rule.decode())

    @override
    def rctl_remove_rule(self, filter: bytes) -> None:
        self._call("rctl_remove_rule", filter, len(filter) + 1, None, 0, what=filter.decode())

    @override
    def setlogin(self, name: bytes) -> None:
        self._call("setlogin", name)

    @override
    def closefrom(self, lowest: int) -> None:
        self._library.closefrom(lowest)

    def _processes(self, *mib: int) -> list[abi.Process]:
        return abi.living_processes_in(self._process_table(mib))

    def _process_table(self, mib: tuple[int, ...]) -> bytes:
        """What sysctl(3) says of processes: an array of `struct kinfo_proc`; asked again while it grows."""
        names = (c_int * len(mib))(*mib)
        while True:
            size = c_size_t()
            self._call("sysctl", names, len(mib), None, ctypes.byref(size), None, 0)
            size.value += _SLACK * abi.KINFO_PROC_SIZE
            table = ctypes.create_string_buffer(size.value)
            try:
                self._call("sysctl", names, len(mib), table, ctypes.byref(size), None, 0)
            except KernelError as error:
                if error.errno != errno.ENOMEM:  # more processes by now
                    raise
            else:
                return table.raw[: size.value]

    def _pairs(self, call: str, pairs: Sequence[Pair], flags: int) -> int:
        vectors, kept = iovecs(pairs)
        result = int(getattr(self._library, call)(vectors, len(vectors), flags))
        number = ctypes.get_errno()
        kept.clear()  # so that bytearrays can be resized again
        if result < 0:
            raise KernelError(call, number, abi.errmsg_of(pairs))
        return result

    def _call(self, call: str, *arguments: object, what: str = "") -> int:
        result = int(getattr(self._library, call)(*arguments))
        if result < 0:
            raise KernelError(call, ctypes.get_errno(), what=what)
        return result
