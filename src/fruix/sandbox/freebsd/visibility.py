"""Showing what the specification binds: directories by mounts, single files as copies, links as links.

A copy is never the store's own inode: a hard link would stand in a directory that the builder may
write to, and the builder could link to it from there. Copies are root's, keep times and the right
to execute, and lose every write and set-id bit.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Sequence

from fruix.sandbox.freebsd import mounts
from fruix.sandbox.freebsd.abi import FileSystem
from fruix.sandbox.freebsd.kernel import Kernel
from fruix.sandbox.root_skeleton import make_links, open_directory, parent_of
from fruix.sandbox.spec import Bind, Link

_CHUNK = 1 << 20


def show(kernel: Kernel, bind: Bind, root: str, table: Sequence[FileSystem], group: int) -> None:
    """Show what one bind names at its place in the root.

    Args:
        kernel: the system.
        bind: what and where.
        root: the sandbox's root, which is the current directory.
        table: the mounts from before.
        group: the builder's; it gets directories that may be written to, since what is made in them
            gets their group.

    Raises:
        OSError: it is of another kind, or can't be shown.
    """
    kind = stat.S_IFMT(os.lstat(bind.source).st_mode)
    if kind == stat.S_IFDIR:
        if bind.writable:
            os.chown(bind.source, -1, group, follow_symlinks=False)
        os.close(open_directory(bind.target))
        mounts.show_directory(kernel, bind.source, root + bind.target, writable=bind.writable, table=table)
    elif kind == stat.S_IFLNK:
        make_links([Link(bind.target, os.readlink(bind.source))])
    elif kind == stat.S_IFREG and not bind.writable:
        _copy(bind.source, bind.target)
    else:
        raise OSError(
            errno.EINVAL, f"only directories, files to read and symlinks can be shown: {bind.source}"
        )


def move_in(bind: Bind, root: str, group: int) -> None:
    """Put a directory of the build's own at its place in the root; `move_out` undoes it."""
    os.chown(bind.source, -1, group, follow_symlinks=False)
    os.rename(bind.source, root + bind.target)


def move_out(bind: Bind, root: str) -> None:
    """Bring it back, if it is in the root.

    Only when everything of the build is dead and nothing is mounted in it.

    The builder may own it (`/build`) and have set a flag that forbids moving it.
    """
    place = root + bind.target
    if os.path.lexists(bind.source) or not os.path.lexists(place):
        return
    if getattr(os.lstat(place), "st_flags", 0):
        os.chflags(place, 0, follow_symlinks=False)  # type: ignore[attr-defined]
    os.rename(place, bind.source)


def _copy(source: str, target: str) -> None:
    descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb", buffering=0) as file, parent_of(target) as (directory, name):
        status = os.fstat(descriptor)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(name, flags, 0o600, dir_fd=directory), "wb") as copy:
            shutil.copyfileobj(file, copy, _CHUNK)
            copy.flush()
            # New files get the group of their directory here, which may be the builder's.
            os.fchown(copy.fileno(), 0, 0)
            os.fchmod(copy.fileno(), status.st_mode & 0o555)
            os.utime(copy.fileno(), ns=(status.st_atime_ns, status.st_mtime_ns))
