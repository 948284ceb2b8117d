"""This process takes itself for FreeBSD 13.

What only Linux has is gone from the standard library before Fruix is imported.

A plugin: `python -m pytest -p freebsd_names tests/store`. Behaviour stays Linux's, of course; what
is found is code that would fail by name (an attribute, a constant, a function of the C library), at
import or on its way. Calls that FreeBSD has and glibc lacks answer "not supported".
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import platform
import resource
import select
import signal
import socket
import struct
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from typing import Any

# Names that Python lacks on FreeBSD 13 (or has only if it was built with luck).
ABSENT: dict[Any, str] = {
    os: """
        O_PATH O_TMPFILE O_NOATIME O_RSYNC O_DIRECT O_LARGEFILE memfd_create MFD_CLOEXEC pidfd_open
        PIDFD_NONBLOCK P_PIDFD copy_file_range splice eventfd EFD_CLOEXEC timerfd_create unshare
        setns CLONE_NEWNS CLONE_NEWPID getxattr setxattr listxattr removexattr XATTR_CREATE
        sched_getaffinity sched_setaffinity getrandom GRND_NONBLOCK RWF_NOWAIT preadv2 SCHED_BATCH
        SCHED_IDLE
    """,
    socket: """
        SO_PEERCRED SO_PASSCRED SCM_CREDENTIALS SO_PEERSEC SO_DOMAIN SO_BINDTODEVICE SO_MARK
        AF_NETLINK AF_PACKET AF_ALG AF_VSOCK AF_CAN NETLINK_ROUTE TCP_USER_TIMEOUT TCP_DEFER_ACCEPT
        MSG_MORE MSG_CONFIRM MSG_ERRQUEUE
    """,
    select: "epoll EPOLLIN EPOLLRDHUP EPOLL_CLOEXEC POLLRDHUP POLLMSG",
    signal: "pidfd_send_signal SIGPWR SIGSTKFLT SIGCLD SIGPOLL",
    fcntl: """
        F_NOTIFY F_SETLEASE F_GETLEASE F_ADD_SEALS F_GET_SEALS F_SETPIPE_SZ F_GETPIPE_SZ F_OFD_SETLK
        F_OFD_GETLK FICLONE FICLONERANGE DN_CREATE
    """,
    resource: """
        prlimit RLIMIT_MSGQUEUE RLIMIT_NICE RLIMIT_RTPRIO RLIMIT_RTTIME RLIMIT_SIGPENDING
        RLIMIT_OFILE RUSAGE_THREAD
    """,
    time: "CLOCK_BOOTTIME CLOCK_MONOTONIC_RAW CLOCK_TAI",
    errno: """
        EADV EBADE EBADFD EBADR EBADRQC EBADSLT EBFONT ECHRNG ECOMM EDEADLOCK EDOTDOT EHWPOISON
        EISNAM EKEYEXPIRED EKEYREJECTED EKEYREVOKED EL2HLT EL2NSYNC EL3HLT EL3RST ELIBACC ELIBBAD
        ELIBEXEC ELIBMAX ELIBSCN ELNRNG EMEDIUMTYPE ENAVAIL ENOANO ENOCSI ENODATA ENOKEY ENOMEDIUM
        ENONET ENOPKG ENOSR ENOSTR ENOTNAM ENOTUNIQ EREMCHG EREMOTEIO ERESTART ERFKILL ESRMNT
        ESTRPIPE ETIME EUCLEAN EUNATCH EXFULL
    """,
}
# Functions of glibc that FreeBSD's libc lacks, and the other way round.
ABSENT_IN_LIBC = frozenset(
    [
        "syncfs",
        "renameat2",
        "prctl",
        "unshare",
        "setns",
        "umount2",
        "mount",
        "pivot_root",
        "personality",
        "capset",
        "syscall",
        "clone",
        "setdomainname",
        "memfd_create",
    ]
)
_ONLY_IN_FREEBSD = """
    extattr_list_fd extattr_delete_fd chflagsat acl_get_fd_np acl_strip_np acl_set_fd_np
    acl_delete_fd_np acl_free nmount unmount getfsstat jail_set jail_get jail_attach jail_remove
    procctl sysctl sysctlbyname rctl_add_rule rctl_remove_rule rctl_get_racct setlogin closefrom
"""
ONLY_IN_FREEBSD = frozenset(_ONLY_IN_FREEBSD.split())
_Socket = socket.socket


class FreeBSDLibrary(ctypes.CDLL):
    """The C library, by FreeBSD's names."""

    def __getattr__(self, name: str) -> Any:
        if name in ABSENT_IN_LIBC:
            raise AttributeError(f"{name}: not on FreeBSD")
        if name in ONLY_IN_FREEBSD:
            return _NotSupported()
        return super().__getattr__(name)


class _NotSupported:
    restype: Any = None
    argtypes: Any = None

    def __call__(self, *_arguments: Any) -> int:
        ctypes.set_errno(errno.EOPNOTSUPP)
        return -1


def _uname() -> os.uname_result:
    return os.uname_result(("FreeBSD", "machine", "13.2-RELEASE", "FreeBSD 13.2-RELEASE GENERIC", "amd64"))


def _chmod(original: Callable[..., None]) -> Callable[..., None]:
    def chmod(path: Any, mode: int, *, dir_fd: int | None = None, follow_symlinks: bool = True) -> None:
        if follow_symlinks:
            original(path, mode, dir_fd=dir_fd)
        else:  # as far as Linux can: it must at least be there
            os.stat(path, dir_fd=dir_fd, follow_symlinks=False)

    return chmod


class FreeBSDSocket(_Socket):
    """Answers LOCAL_PEERCRED from what Linux says to SO_PEERCRED (17).

    Drops descriptors for which there is too little room.
    """

    def getsockopt(self, level: int, option: int, size: int = 0, /) -> Any:
        if (level, option) != (0, 1) or self.family != socket.AF_UNIX:
            return super().getsockopt(level, option, size) if size else super().getsockopt(level, option)
        pid, uid, gid = struct.unpack("@iII", super().getsockopt(socket.SOL_SOCKET, 17, 12))
        groups = [gid, *os.getgroups()][:16]
        packed = struct.pack("@IIh2x16I4xi4x", 0, uid, len(groups), *groups, *[0] * (16 - len(groups)), pid)
        return packed[:size]

    def recvmsg(self, size: int, ancillary: int = 0, flags: int = 0, /) -> Any:
        """Descriptors come whole, padding included, or not at all."""
        data, messages, found, address = super().recvmsg(
            size, max(ancillary, 1024) if ancillary else 0, flags
        )
        if sum(socket.CMSG_SPACE(len(message[2])) for message in messages) <= ancillary:
            return data, messages, found, address
        for _, _, packed in messages:
            for descriptor in struct.unpack(f"{len(packed) // 4}i", packed):
                os.close(descriptor)
        return data, [], found | socket.MSG_CTRUNC, address


def become_freebsd() -> None:
    """From here on; there is no way back."""
    sysconfig.get_config_vars()  # read from a file whose name holds the platform's
    for module, names in ABSENT.items():
        for name in names.split():
            if hasattr(module, name):
                delattr(module, name)
    tempfile._O_TMPFILE_WORKS = False  # type: ignore[attr-defined]
    socket.socket = FreeBSDSocket  # type: ignore[misc]
    ctypes.CDLL = FreeBSDLibrary  # type: ignore[misc]
    sys.platform = "freebsd13"
    os.uname = _uname
    platform.system = lambda: "FreeBSD"
    platform.release = lambda: "13.2-RELEASE"
    platform.machine = lambda: "amd64"
    os.chmod = _chmod(os.chmod)


become_freebsd()
