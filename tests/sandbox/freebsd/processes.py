"""A kernel that only keeps books, but for processes: those are real, and Linux's."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fake_kernel import Fake
from fruix.sandbox.freebsd import abi
from fruix.sandbox.freebsd.abi import FileSystem, Pair
from fruix.sandbox.freebsd.kernel import KernelError
from fruix.sandbox.linux.processes import processes_of

UID = 35031  # of the builds
_libc = ctypes.CDLL(None)
_SUBREAPER, _GET_SUBREAPER, _DEATH_SIGNAL = 36, 37, 1  # of Linux's prctl


@dataclass
class Processes(Fake):
    """Its process control is real, its mounts are a file that all processes share."""

    book: str = ""

    def procctl(self, pid: int, command: int, argument: bytearray | None) -> None:
        assert pid in {0, os.getpid()}
        if command == abi.PROC_REAP_ACQUIRE:
            _libc.prctl(_SUBREAPER, 1)
        elif command == abi.PROC_REAP_STATUS:
            owned = ctypes.c_int()
            _libc.prctl(_GET_SUBREAPER, ctypes.byref(owned))
            assert argument is not None
            argument[0] = owned.value
        elif command == abi.PROC_PDEATHSIG_CTL:
            assert argument is not None
            _libc.prctl(_DEATH_SIGNAL, int.from_bytes(argument, "little"))
        elif command == abi.PROC_REAP_KILL and not (self._kill(UID) + self._kill_child()):
            raise KernelError("procctl", errno.ESRCH)

    def _kill(self, uid: int) -> int:
        pids = processes_of(uid)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        return len(pids)

    def _kill_child(self) -> int:
        """A child that is still root."""
        try:
            with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
                children = [int(pid) for pid in file.read().split()]
        except FileNotFoundError:
            return 0
        for pid in children:
            os.kill(pid, signal.SIGKILL)
        return len(children)

    def nmount(self, options: Sequence[Pair], flags: int) -> None:
        values = {name: abi.string_in(value) for name, value in options}
        target = values[b"fspath\0"]
        if values[b"fstype\0"] == b"devfs":
            for name in (b"null", b"zero", b"random", b"urandom"):
                Path(os.fsdecode(target + b"/" + name)).touch()
        with open(self.book, "ab") as file:
            file.write(b"+%b %d %b\n" % (values[b"fstype\0"], flags, target))

    def unmount(self, path: bytes, flags: int) -> None:
        with open(self.book, "ab") as file:
            file.write(b"-x %d %b\n" % (flags, path))

    def getfsstat(self) -> list[FileSystem]:
        found: list[FileSystem] = []
        for line in Path(self.book).read_bytes().splitlines():
            kind, flags, target = line[1:].split(b" ", 2)
            if line.startswith(b"+"):
                found.append(FileSystem(kind, b"", target, int(flags)))
            else:
                found = [mounted for mounted in found if mounted.target != target]
        return found

    def processes_of(self, uid: int) -> list[int]:
        return processes_of(uid)

    def jail_get(self, parameters: Sequence[Pair], flags: int) -> int:  # noqa: ARG002
        """A jail is there as long as it has processes."""
        if dict(parameters).get(b"lastjid\0") is None and processes_of(UID):
            return 1
        raise KernelError("jail_get", errno.ENOENT)

    def jail_remove(self, jid: int) -> None:
        assert jid == 1
        self._kill(UID)

    def closefrom(self, lowest: int) -> None:
        os.closerange(lowest, 4096)
