"""nmount, unmount and the mount table of the double.

nullfs is bind mounts that stop at other file systems, tmpfs is tmpfs, devfs a small tmpfs with
device nodes.

What the kernel checks is checked in its order. A nullfs mount of a single file panics a 13.2
kernel: here it is a `PanicError`, which nobody catches.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Mapping

from freebsd_double import devices
from freebsd_double.arguments import Pairs
from freebsd_double.kernel_state import Mount, Tables
from fruix.sandbox.freebsd import abi
from fruix.sandbox.freebsd.kernel import KernelError
from fruix.sandbox.linux import libc

_MNT_UPDATE = 0x10000
_MNT_ROOT = abi.FileSystem(b"ufs", b"/dev/ada0p2", b"/", 0, (1, 0))
_FSID = 0x46  # the second half of all file systems' ids
_UMOUNT_NOFOLLOW = 8
_MS_NOATIME = 1024
# FreeBSD's flags of mounts and the bare options that mean the same → Linux's.
_FLAGS = {
    abi.MNT_RDONLY: ("ro", libc.MS_RDONLY),
    abi.MNT_NOSUID: ("nosuid", libc.MS_NOSUID),
    abi.MNT_NOEXEC: ("noexec", libc.MS_NOEXEC),
    abi.MNT_NOATIME: ("noatime", _MS_NOATIME),
}
_COMMON = frozenset({"fstype", "fspath", "from", "errmsg", *(name for name, _ in _FLAGS.values())})
# What tmpfs and devfs know besides; nullfs looks at no name.
_KNOWN: Mapping[str, frozenset[str]] = {
    "tmpfs": frozenset({"size", "mode", "uid", "gid", "inodes", "maxfilesize", "nomtime", "export", "union"}),
    "devfs": frozenset({"ruleset", "export"}),
}
# tmpfs: FreeBSD's name → Linux's.
_TMPFS_OPTIONS = {"size": "size", "mode": "mode", "uid": "uid", "gid": "gid", "inodes": "nr_inodes"}


class PanicError(BaseException):
    """A real kernel would have stopped the machine here."""


def nmount(tables: Tables, pairs: Pairs, flags: int) -> None:
    """Mount as the kind of file system says, and note it in the table."""
    fstype = pairs.text("fstype", size=16) or ""
    target = pairs.text("fspath", size=abi.MNAMELEN)
    mount = _MOUNTS.get(fstype)
    if mount is None:
        pairs.fail(errno.ENODEV, "Invalid fstype")
    if target is None or not os.path.exists(target):
        pairs.fail(errno.EINVAL, "Invalid fstype")  # the message is the kernel's
    if flags & _MNT_UPDATE:
        pairs.fail(errno.EOPNOTSUPP)
    if not os.path.isdir(target):
        pairs.fail(errno.ENOTDIR)
    for number, (name, _) in _FLAGS.items():
        flags |= number if name in pairs.values else 0
    target = os.path.realpath(target)
    source, lower = mount(
        tables, pairs, target, sum(linux for number, (_, linux) in _FLAGS.items() if flags & number)
    )
    status = os.stat(target)
    tables.mounts.append(
        Mount(_number(target), status.st_dev, status.st_ino, fstype, source, target, flags, lower)
    )


def _nullfs(tables: Tables, pairs: Pairs, target: str, flags: int) -> tuple[str, int]:
    source = pairs.text("from", size=abi.MNAMELEN) or pairs.text("target", size=abi.MNAMELEN)
    if source is None:
        pairs.fail(errno.EINVAL)
    if not os.path.lexists(source):
        pairs.fail(errno.ENOENT)
    source = os.path.realpath(source)
    if not stat.S_ISDIR(os.stat(source).st_mode):
        raise PanicError(f"nullfs of the file {source}")
    lower = _number(source)
    if _shown_at(tables, target) == lower and os.path.samefile(source, target):
        pairs.fail(errno.EDEADLK)
    libc.mount(os.fsencode(source), os.fsencode(target), None, libc.MS_BIND)
    # No device works outside of devfs.
    always = libc.MS_REMOUNT | libc.MS_BIND | libc.MS_NODEV
    libc.mount(None, os.fsencode(target), None, always | flags)
    return source, lower


def _shown_at(tables: Tables, target: str) -> int:
    """Whence the nullfs mount that `target` lies in shows its files (`Mount.lower`); 0: it lies in none.

    Only there does the kernel look for a deadlock: nullfs of a directory onto itself succeeds, and so
    does a second one on top of it, since the source is then found through the first.
    """
    number = _number(target)
    return next((mount.lower for mount in present(tables) if mount.number == number), 0)


def _tmpfs(_tables: Tables, pairs: Pairs, target: str, flags: int) -> tuple[str, int]:
    _check_names(pairs, "tmpfs")
    values = {name: pairs.text(name, size=abi.MNAMELEN) for name in _TMPFS_OPTIONS}
    options = ",".join(f"{_TMPFS_OPTIONS[name]}={value}" for name, value in values.items() if value)
    libc.mount(b"tmpfs", os.fsencode(target), b"tmpfs", libc.MS_NODEV | flags, options.encode())
    return "tmpfs", 0


def _devfs(tables: Tables, pairs: Pairs, target: str, flags: int) -> tuple[str, int]:
    _check_names(pairs, "devfs")
    ruleset = pairs.text("ruleset", size=abi.MNAMELEN) or "0"
    if not ruleset.isdecimal() or int(ruleset) > 0xFFFF:
        pairs.fail(errno.EINVAL, "invalid ruleset specification")
    libc.mount(b"devfs", os.fsencode(target), b"tmpfs", 0, b"mode=755,size=64k")
    devices.fill(target, devices.visible(tables.rules.get(str(int(ruleset)), [])))
    libc.mount(None, os.fsencode(target), None, libc.MS_REMOUNT | libc.MS_BIND | flags | libc.MS_RDONLY)
    return "devfs", 0


def _check_names(pairs: Pairs, fstype: str) -> None:
    for name in pairs.values:
        if name not in _COMMON | _KNOWN[fstype]:
            pairs.fail(errno.EINVAL, f"mount option <{name}> is unknown")


_MOUNTS: Mapping[str, Callable[[Tables, Pairs, str, int], tuple[str, int]]] = {
    "nullfs": _nullfs,
    "tmpfs": _tmpfs,
    "devfs": _devfs,
}


def unmount(tables: Tables, path: bytes, flags: int) -> None:
    """Unmount the newest mount on a path, or the one with an id."""
    mount = _by_id(tables, path) if flags & abi.MNT_BYFSID else _by_path(tables, path)
    below = mount.target.rstrip("/") + "/"
    if any(other.target.startswith(below) for other in present(tables)):
        raise KernelError("unmount", errno.EBUSY)
    newest = _by_path(tables, os.fsencode(mount.target))
    if newest.number != mount.number:
        raise KernelError("unmount", errno.EBUSY)
    try:
        detach = libc.MNT_DETACH if flags & abi.MNT_FORCE else 0
        libc.umount(_linux_mounts()[mount.number], detach | _UMOUNT_NOFOLLOW)
    except OSError as error:
        raise KernelError("unmount", error.errno or 0) from error
    tables.mounts.remove(mount)


def _by_id(tables: Tables, path: bytes) -> Mount:
    for mount in present(tables):
        if path.rstrip(b"\0") == b"FSID:%d:%d" % (mount.number, _FSID):
            return mount
    raise KernelError("unmount", errno.ENOENT)


def _by_path(tables: Tables, path: bytes) -> Mount:
    target = os.path.realpath(os.fsdecode(path.rstrip(b"\0")))
    for mount in reversed(present(tables)):
        if mount.target == target:
            return mount
    raise KernelError("unmount", errno.EINVAL)


def present(tables: Tables) -> list[Mount]:
    """The mounts that are still there, oldest first; the others are forgotten."""
    there = _linux_mounts()
    tables.mounts = [mount for mount in tables.mounts if _is_there(mount, there)]
    return tables.mounts


def _is_there(mount: Mount, there: Mapping[int, bytes]) -> bool:
    """Under its number, wherever that is by now, and the same; what another mount hides is believed."""
    target = there.get(mount.number)
    if target is None:
        return False
    try:
        status = os.stat(target)
    except OSError:
        return False
    hidden = sum(other == target for other in there.values()) > 1
    return hidden or (status.st_dev, status.st_ino) == (mount.device, mount.inode)


def table(tables: Tables) -> list[abi.FileSystem]:
    """The mount table in the form that getfsstat(2) gives, oldest mount first."""
    return [
        _MNT_ROOT,
        *(
            abi.FileSystem(
                mount.fstype.encode(),
                os.fsencode(mount.source),
                os.fsencode(mount.target),
                mount.flags,
                (mount.number, _FSID),
            )
            for mount in present(tables)
        ),
    ]


def _linux_mounts() -> dict[int, bytes]:
    """Number → where it is now: directories above it may have been renamed."""
    found = {}
    with open("/proc/self/mountinfo", "rb") as file:
        for line in file:
            number, _, _, _, target, *_ = line.split()
            plain = target.decode("unicode_escape").encode("latin-1") if b"\\" in target else target
            found[int(number)] = plain
    return found


def _number(target: str) -> int:
    """Linux's number of the newest mount on a path."""
    descriptor = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    with contextlib.closing(os.fdopen(os.open(f"/proc/self/fdinfo/{descriptor}", os.O_RDONLY))) as file:
        lines = dict(line.split(":\t") for line in file.read().splitlines())
    os.close(descriptor)
    return int(lines["mnt_id"])
