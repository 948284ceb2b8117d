"""Mounting, and the mount table: what shows the builder its files, and how all of it goes away again.

Mounts are global and outlive everybody, so what is mounted is always found again by its path below
the build directory, never by memory. Directories are shown by nullfs, with all flags given at once
(it can't be changed afterwards). Single files never are: a nullfs mount of one panics FreeBSD 13.2;
they are copied (`show`).
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Sequence

from fruix.sandbox.freebsd import abi
from fruix.sandbox.freebsd.abi import FileSystem, Pair, flag, text
from fruix.sandbox.freebsd.kernel import Kernel, KernelError
from fruix.sandbox.spec import Tmpfs

# Waits (seconds) between attempts to unmount what is still in use: a killed jail holds its root for
# a moment. Then force.
PATIENCE = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.3)
# What may be unmounted by force: the kinds that are mounted here, whose loss hurts nobody.
_FORCED = frozenset({b"nullfs", b"devfs", b"tmpfs"})
_GONE = frozenset({errno.EINVAL, errno.ENOENT})


def nullfs(source: str, target: str) -> list[Pair]:
    """Options that show the directory `source` at `target`.

    Unix sockets in it lead nowhere (from FreeBSD 15 on).
    """
    return [*_place("nullfs", os.fsencode(target), os.fsencode(source)), flag("nounixbypass")]


def devfs(target: str, ruleset: int) -> list[Pair]:
    """Options for a /dev that shows what a ruleset lets through."""
    return [*_place("devfs", os.fsencode(target), b"devfs"), text("ruleset", b"%d" % ruleset)]


def tmpfs(target: str, size: int, mode: int) -> list[Pair]:
    """Options for a file system in memory; `size` 0: as large as the kernel likes."""
    sized = [text("size", b"%d" % size)] if size else []
    return [*_place("tmpfs", os.fsencode(target), b"tmpfs"), *sized, text("mode", b"%o" % mode)]


def _place(fstype: str, target: bytes, source: bytes) -> list[Pair]:
    return [text("fstype", fstype.encode()), text("fspath", target), text("from", source)]


def mount(kernel: Kernel, options: Sequence[Pair], flags: int) -> None:
    """Mount; the error says what and where."""
    try:
        kernel.nmount([*options, abi.buffer("errmsg", abi.MOUNT_ERRMSG_SIZE)], flags)
    except KernelError as error:
        target, source = (abi.string_in(value).decode(errors="replace") for _, value in options[1:3])
        raise OSError(error.errno, f"{error.strerror} ({source} at {target})") from error


def mount_tmpfs(kernel: Kernel, wanted: Sequence[Tmpfs], root: str) -> None:
    """Mount the file systems in memory of a specification."""
    for one in wanted:
        mount(kernel, tmpfs(root + one.path, one.size, one.mode), abi.MNT_NOSUID)


def show_directory(
    kernel: Kernel, source: str, target: str, *, writable: bool, table: Sequence[FileSystem]
) -> None:
    """Show a directory and what is mounted below it, which nullfs would show as empty directories."""
    flags = abi.MNT_NOSUID if writable else abi.MNT_NOSUID | abi.MNT_RDONLY
    mount(kernel, nullfs(source, target), flags)
    for mounted in below(table, source):
        part = os.fsdecode(mounted.target).removeprefix(source)
        mount(kernel, nullfs(source + part, target + part), flags)


def below(table: Sequence[FileSystem], *directories: str) -> list[FileSystem]:
    """The rows of a mount table that are mounted in some directories, oldest first."""
    prefixes = tuple(os.fsencode(directory).rstrip(b"/") + b"/" for directory in directories)
    return [mounted for mounted in table if mounted.target.startswith(prefixes)]


def unmount_below(kernel: Kernel, *directories: str) -> list[str]:
    """Unmount everything in some directories (canonical paths); the mount points.

    Raises:
        OSError: EBUSY, something is still mounted.
    """
    done: list[str] = []
    for _ in PATIENCE:  # more may have been mounted meanwhile
        there = below(kernel.getfsstat(), *directories)
        if not there:
            return done
        done += unmount(kernel, there)
    raise _still_mounted(below(kernel.getfsstat(), *directories))


def unmount(kernel: Kernel, rows: Sequence[FileSystem]) -> list[str]:
    """Unmount these, the newest first, and nothing that is mounted meanwhile; the mount points.

    It waits for what is busy, then uses force.

    Raises:
        OSError: EBUSY, something is still mounted.
    """
    done: list[str] = []
    left = rows[::-1]
    for pause in (*PATIENCE, None):
        busy = [mounted for mounted in left if not _unmount(kernel, mounted, by_force=pause is None)]
        done += [os.fsdecode(mounted.target) for mounted in left if mounted not in busy]
        left = busy
        if not left:
            return done
        if pause is not None:
            time.sleep(pause)
    raise _still_mounted(left)


def _still_mounted(rows: Sequence[FileSystem]) -> OSError:
    names = ", ".join(os.fsdecode(mounted.target) for mounted in rows)
    return OSError(errno.EBUSY, f"{os.strerror(errno.EBUSY)}: still mounted: {names}")


def _unmount(kernel: Kernel, mounted: FileSystem, *, by_force: bool) -> bool:
    """False if it is busy. Somebody else may have been faster, which is as good."""
    try:
        if by_force and mounted.fstype in _FORCED:
            kernel.unmount(b"FSID:%d:%d" % mounted.fsid, abi.MNT_FORCE | abi.MNT_BYFSID)
        else:
            kernel.unmount(mounted.target, 0)
    except KernelError as error:
        if error.errno == errno.EBUSY:
            return False
        if error.errno not in _GONE:
            raise
    return True
