"""`/dev` of a sandbox: six harmless devices, a private pts and shm, and the usual links.

Devices are the host's, bound one by one. A node that the host lacks (containers often have no full
or tty), or that isn't the device of that name (a file called /dev/null), is made, where this
process may do that; else the error names it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable, Mapping

from fruix.sandbox.linux import libc
from fruix.sandbox.spec import Link

DEVICES: Mapping[str, tuple[int, int]] = {
    "full": (1, 7),
    "null": (1, 3),
    "random": (1, 8),
    "tty": (5, 0),
    "urandom": (1, 9),
    "zero": (1, 5),
}
"""Name → the kernel's numbers of the device, major and minor (Documentation/admin-guide/devices.txt)."""
LINKS = (
    Link("dev/fd", "/proc/self/fd"),
    Link("dev/stdin", "/proc/self/fd/0"),
    Link("dev/stdout", "/proc/self/fd/1"),
    Link("dev/stderr", "/proc/self/fd/2"),
    Link("dev/ptmx", "/dev/pts/ptmx"),
)
DIRECTORIES = ("dev/pts", "dev/shm")
_MODE = 0o666


def lacking() -> list[str]:
    """Paths of those devices that this host hasn't got, in order of their names."""
    return [f"/dev/{name}" for name in DEVICES if not _is_there(name)]


def make_mount_points() -> Collection[str]:
    """Make empty files for the usual devices, and nodes in place of those that the host lacks.

    To be called before the root is sealed.

    Returns:
        The names of those nodes.

    Raises:
        OSError: one is lacking and can't be made; names it.
    """
    made = [name for name in DEVICES if not _is_there(name)]
    for name in DEVICES:
        if name in made:
            _make(f"dev/{name}", name)
    make_files(name for name in DEVICES if name not in made)
    return made


def make_files(names: Iterable[str]) -> None:
    """Make empty files to mount devices on."""
    for name in names:
        os.mknod(f"dev/{name}", stat.S_IFREG | _MODE)  # one call, where opening and closing is two


def bind_devices(more: Iterable[str], nodes: Collection[str]) -> None:
    """The devices themselves; after the root is sealed, since nodev would disable them.

    `nodes`: those that were made (`make_mount_points`).
    """
    for name in (*DEVICES, *more):
        target, made = f"dev/{name}", name in nodes
        libc.mount(os.fsencode(target if made else f"/{target}"), os.fsencode(target), None, libc.MS_BIND)
        # Of the host's flags none is taken away: in a user namespace that may not be. One that was
        # made has only the seal's.
        opened = libc.MOUNT_ATTR_NODEV | libc.MOUNT_ATTR_RDONLY if made else 0
        libc.mount_setattr(os.fsencode(target), 0, libc.MOUNT_ATTR_NOSUID | libc.MOUNT_ATTR_NOEXEC, opened)


def _is_there(name: str) -> bool:
    try:
        status = os.stat(f"/dev/{name}")
    except OSError:
        return False
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == os.makedev(*DEVICES[name])


def _make(path: str, name: str) -> None:
    try:
        os.mknod(path, stat.S_IFCHR | _MODE, os.makedev(*DEVICES[name]))
        os.chmod(path, _MODE)  # whatever the mask is
    except OSError as error:
        what = "is not the device of that name" if os.path.lexists(f"/dev/{name}") else "is not there"
        raise OSError(
            error.errno, f"{error.strerror}: /dev/{name} {what} on this host and can't be made"
        ) from error


def mount_pts_and_shm() -> None:
    """A devpts instance of its own, and shared memory."""
    flags = libc.MS_NOSUID | libc.MS_NOEXEC
    libc.mount(b"devpts", b"dev/pts", b"devpts", flags, b"newinstance,ptmxmode=0666,mode=0620")
    libc.mount(b"tmpfs", b"dev/shm", b"tmpfs", libc.MS_NOSUID | libc.MS_NODEV, b"mode=1777,size=50%")
