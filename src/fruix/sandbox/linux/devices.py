"""`/dev` of a sandbox: six harmless devices, a private pts and shm, and the usual links."""

from __future__ import annotations

import os
from collections.abc import Iterable

from fruix.sandbox.linux import libc
from fruix.sandbox.spec import Link

DEVICES = ("full", "null", "random", "tty", "urandom", "zero")
LINKS = (
    Link("/dev/fd", "/proc/self/fd"),
    Link("/dev/stdin", "/proc/self/fd/0"),
    Link("/dev/stdout", "/proc/self/fd/1"),
    Link("/dev/stderr", "/proc/self/fd/2"),
    Link("/dev/ptmx", "/dev/pts/ptmx"),
)
DIRECTORIES = ("/dev/pts", "/dev/shm")  # noqa: S108 - a mount point inside


def make_mount_points(more: Iterable[str] = ()) -> None:
    """Empty files for the devices; before the root is sealed."""
    for name in (*DEVICES, *more):
        os.close(os.open(f"dev/{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))


def bind_devices(more: Iterable[str] = ()) -> None:
    """The host's devices; after the root is sealed, since nodev would disable them."""
    for name in (*DEVICES, *more):
        target = f"dev/{name}".encode()
        libc.mount(f"/dev/{name}".encode(), target, None, libc.MS_BIND)
        # Adding to the flags, not replacing them: in a user namespace the host's may not be taken away.
        libc.mount_setattr(target, 0, libc.MOUNT_ATTR_NOSUID | libc.MOUNT_ATTR_NOEXEC)


def mount_pts_and_shm() -> None:
    """A devpts instance of its own, and shared memory."""
    flags = libc.MS_NOSUID | libc.MS_NOEXEC
    libc.mount(b"devpts", b"dev/pts", b"devpts", flags, b"newinstance,ptmxmode=0666,mode=0620")
    libc.mount(b"tmpfs", b"dev/shm", b"tmpfs", libc.MS_NOSUID | libc.MS_NODEV, b"mode=1777,size=50%")
