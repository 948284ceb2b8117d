"""The file system that a builder sees, put together below the new root, which is the current directory.

Order matters: first everything read-only (skeleton, generated files, binds), then ONE recursive
`mount_setattr` that makes all of it read-only, nosuid and nodev, sub-mounts of binds included; then
devices (nodev would disable them) and writable areas. A read-only flag in the bind itself would be
ignored by the kernel, and a remount would not recurse.

Targets are made and mounted on through directory descriptors without following links. A source is
first copied out of the tree of mounts without following a link, looked at, and mounted by the copy's
descriptor: what is mounted is what was checked.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable

from fruix.sandbox.linux import libc
from fruix.sandbox.root_skeleton import HeldDirectory, HeldParent, make_links, make_target
from fruix.sandbox.spec import Bind, Link, Tmpfs

_SEALED = libc.MOUNT_ATTR_RDONLY | libc.MOUNT_ATTR_NOSUID | libc.MOUNT_ATTR_NODEV
# As `os.fsencode` does it, which takes four calls: there can be thousands of binds.
_NAMES = (sys.getfilesystemencoding(), sys.getfilesystemencodeerrors())
_ROOT_OPTIONS = b"mode=755,size=16m,nr_inodes=100k"


def stop_propagation() -> None:
    """Nothing mounted from here on reaches the host, nor the other way round."""
    libc.mount(None, b"/", None, libc.MS_REC | libc.MS_PRIVATE)


def new_root(path: str) -> None:
    """A fresh tmpfs on `path`; it becomes the current directory."""
    libc.mount(b"tmpfs", os.fsencode(path), b"tmpfs", libc.MS_NOSUID | libc.MS_NODEV, _ROOT_OPTIONS)
    os.chdir(path)


def mounts_below(directory: str) -> list[str]:
    """Mount points in a directory that this process sees."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        points = [line.split()[4] for line in file]
    return [point for point in points if point.startswith(f"{directory}/")]


def bind_all(binds: Iterable[Bind]) -> None:
    """Every bind, in order; a bind below a writable one needs that one first."""
    with HeldParent() as held, _HeldSource() as sources:
        for bind in binds:
            _bind(bind, sources, held)


def hide_all(directories: Iterable[str], empty: str) -> None:
    """Show each of these directories of what is bound already as an empty one.

    What is shown in their place is the directory `empty` of the new root, as it is now.
    """
    if not (paths := list(directories)):
        return
    nothing = os.open(_relative(empty), os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        for path in paths:
            libc.mount(_by_descriptor(nothing), _relative(path), None, libc.MS_BIND)
    finally:
        os.close(nothing)


def seal() -> None:
    """All that is mounted so far becomes read-only, nosuid and nodev."""
    libc.mount_setattr(b".", libc.AT_RECURSIVE, _SEALED)


def open_writable(binds: Iterable[Bind]) -> None:
    """The build's own areas become writable again: each that one mount, nothing mounted below it."""
    for bind in binds:
        if bind.writable:
            libc.mount_setattr(_relative(bind.target), 0, 0, libc.MOUNT_ATTR_RDONLY)


def open_root() -> None:
    """The new root's own file system is no longer read-only; all in it belongs to root."""
    libc.mount_setattr(b".", 0, 0, libc.MOUNT_ATTR_RDONLY)


def mount_tmpfs(mounts: Iterable[Tmpfs]) -> None:
    """Writable memory; the mount points are made by `make_mount_points` before the root is sealed."""
    for mount in mounts:
        size = f",size={mount.size}" if mount.size else ""
        options = f"mode={mount.mode:o}{size}".encode()
        libc.mount(b"tmpfs", _relative(mount.path), b"tmpfs", libc.MS_NOSUID | libc.MS_NODEV, options)


def mount_proc() -> None:
    """Mount the /proc of this process namespace.

    Raises:
        OSError: among others EPERM, without root where parts of the host's own are covered: the
            kernel wants none uncovered.
    """
    try:
        libc.mount(b"proc", b"proc", b"proc", libc.MS_NOSUID | libc.MS_NODEV | libc.MS_NOEXEC)
    except PermissionError as error:
        if covered := mounts_below("/proc"):
            why = (
                f"the host's /proc is masked, as in containers ({', '.join(covered[:3])}): "
                "run outside of the container, or as root"
            )
            raise OSError(error.errno, why) from error
        raise


def switch_root() -> None:
    """The current directory becomes `/`; the old root is stacked on top of it and let go."""
    libc.pivot_root(b".", b".")
    libc.umount(b".", libc.MNT_DETACH)
    os.chdir("/")


class _HeldSource(HeldDirectory):
    """The directory in which the last source lies: nearly all lie in the store.

    A path from `/` on costs the kernel a search for each of its parts.
    """

    def copy(self, path: str) -> int:
        """See `libc.open_tree`."""
        above = path[: path.rfind("/") + 1]
        if above != self.path:
            self.hold(above, os.open(above, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
        return libc.open_tree(self.descriptor, path[len(above) :].encode(*_NAMES) or b".")


def _bind(bind: Bind, sources: _HeldSource, held: HeldParent) -> None:
    source = -1
    try:
        source = sources.copy(bind.source)
        kind = stat.S_IFMT(os.fstat(source).st_mode)
        if kind == stat.S_IFLNK:
            make_links([Link(bind.target, os.readlink("", dir_fd=source))])
            return
        if kind not in {stat.S_IFDIR, stat.S_IFREG}:
            raise OSError(22, f"only files, directories and symlinks can be shown: {bind.source}")
        directory, name = held.of(bind.target)
        make_target(directory, name, kind)
        # A directory goes on a directory and a file on a file, or the kernel refuses.
        libc.move_mount(source, directory, name.encode(*_NAMES))
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror} ({bind.source} at {bind.target})") from error
    finally:
        if source >= 0:
            os.close(source)


def _by_descriptor(descriptor: int) -> bytes:
    return b"/proc/self/fd/%d" % descriptor


def _relative(path: str) -> bytes:
    return os.fsencode("./" + path.strip("/"))
