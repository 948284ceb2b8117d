"""The system calls that the FreeBSD back end makes, as an interface: `libc.Libc` is the real one.

Everything goes through one `Kernel` object, so that a double with the same interface can stand in
its place on another system. What is passed is what the kernel gets, byte for byte (`abi`): a double
has to parse it as the kernel would, and answers with the same errors. What `os`, `socket` and
`signal` do alike on both systems (fork, waitpid, setresuid, setrlimit, chmod…) is called there, not
here.

Rules for an implementation:

- A failing call raises `KernelError` with the errno of the system that it runs on (`errno.EINVAL`,
  not 22) and the kernel's own message.
- A `bytearray` among the arguments is written to in place, as the kernel does; the name `errmsg` on
  failure only.
- Calls act on the calling process: `jail_set` with JAIL_ATTACH moves the caller, `procctl` makes
  the caller a reaper, and so on. All of them are made by processes with one thread.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Protocol

from fruix.sandbox.freebsd.abi import FileSystem, Pair


class KernelError(OSError):
    """A system call failed.

    Attributes:
        call: its name.
        errmsg: what the kernel said besides the number; often nothing.
    """

    def __init__(self, call: str, number: int, errmsg: str = "", what: str = "") -> None:
        detail = ": ".join(part for part in (call, what, errmsg) if part)
        super().__init__(number, f"{os.strerror(number)}: {detail}")
        self.call = call
        self.errmsg = errmsg


class Kernel(Protocol):
    """The system calls that the back end makes; each raises `KernelError`."""

    def nmount(self, options: Sequence[Pair], flags: int) -> None:
        """Mount.

        `options` hold `fstype`, `fspath`, usually `from`, those of the file system, and `errmsg`, a
        buffer.
        """

    def unmount(self, path: bytes, flags: int) -> None:
        """Unmount the newest mount on `path`; with MNT_BYFSID `path` is `FSID:N:N`.

        EINVAL: nothing is mounted there.
        """

    def getfsstat(self) -> list[FileSystem]:
        """The mount table of the whole system, oldest first.

        Not a call of its own inside a jail: the daemon never asks there.
        """

    def jail_set(self, parameters: Sequence[Pair], flags: int) -> int:
        """Make (JAIL_CREATE) or change a jail, enter it (JAIL_ATTACH); returns its number.

        EEXIST: the name is taken. EINVAL: unknown parameter or wrong size, `errmsg` says which.
        EPERM with JAIL_ATTACH: a directory is open.
        """

    def jail_get(self, parameters: Sequence[Pair], flags: int) -> int:
        """Find a jail by `jid`, `name` or `lastjid` (the next one after it); its number.

        The other parameters are filled in.

        ENOENT: there is none. Without JAIL_DYING those that are dying aren't found.
        """

    def jail_remove(self, jid: int) -> None:
        """Kill everything in a jail and remove it; returns before all of it is dead.

        EINVAL or ENOENT: there is none.
        """

    def procctl(self, pid: int, command: int, argument: bytearray | None) -> None:
        """Control process `pid` (0: the caller; P_PID).

        Commands: PROC_REAP_ACQUIRE, PROC_REAP_KILL, PROC_NO_NEW_PRIVS_CTL, PROC_PDEATHSIG_CTL.
        """

    def ioctl(self, descriptor: int, request: int, argument: bytearray) -> None:
        """On /dev (DEVFSIO_…) and on sockets (SIOC…). DEVFSIO_RGETNEXT: ENOENT after the last rule."""

    def sysctl(self, name: bytes) -> bytes:
        """The value of a system variable (`kern.osreldate`, `security.jail.param.vnet`), as bytes.

        ENOENT: no such variable.
        """

    def processes_of(self, uid: int) -> list[int]:
        """Living processes whose effective or real user is `uid`, by number; in jails too."""

    def usage_beside(self, pid: int) -> tuple[int, int, int] | None:
        """What all living processes of the real user of process `pid` use; None: no such process.

        Microseconds of processor time (with that of the dead they waited for), bytes of memory, how
        many they are.
        """

    def rctl_add_rule(self, rule: bytes) -> None:
        """Add a resource limit such as `jail:frx-x:maxproc:deny=100`.

        ENOSYS: the kernel doesn't account resources.
        """

    def rctl_remove_rule(self, filter: bytes) -> None:  # noqa: A002 - the manual's word
        """Remove all rules that match. ESRCH: none does."""

    def setlogin(self, name: bytes) -> None:
        """The login name of this session."""

    def closefrom(self, lowest: int) -> None:
        """Close every descriptor from `lowest` on."""
