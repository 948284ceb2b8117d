"""The platform's room of `store/`.

File flags, extended attributes, clones and syncing a whole file system.

Linux: no file flags that a build could set; extended attributes (which hold ACLs too) by
`listxattr`; `FICLONE`; `syncfs`. FreeBSD: `chflagsat`; `extattr_*_fd` for the user name space; ACLs
by `acl_*_np` where the file system has them (UFS mounted with `acls`, ZFS); modes of symlinks;
clones only by `copy_file_range`; no `syncfs` (the caller then syncs file by file). Everything is by
descriptor or (directory, name) and follows no symlink.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import stat
import struct
import sys

_LINUX = sys.platform.startswith("linux")
HAS_SYNCFS = _LINUX
_FICLONE = 0x40049409  # linux/fs.h
# linux/fiemap.h: start, length, flags, extents found, extents wanted, reserved; then for each extent
# logical and physical offset, length, flags.
_FIEMAP = 0xC020660B
_FIEMAP_HEAD = struct.Struct("=QQIIII")
_FIEMAP_EXTENT = struct.Struct("=QQQ16xI12x")
_FIEMAP_NO_PLACE = 0x2 | 0x4 | 0x200  # unknown, delayed, inline
_RENAME_EXCHANGE = 2  # linux/fs.h
# The same number on every machine; linux/openat2.h: flags, mode, how names are resolved.
_SYS_OPENAT2, _RESOLVE_NO_SYMLINKS = 437, 4
_OPEN_HOW = struct.Struct("=QQQ")
_AT_SYMLINK_NOFOLLOW = 0x200  # FreeBSD's sys/fcntl.h
_EXTATTR_NAMESPACE_USER = 1  # FreeBSD's sys/extattr.h
# Attributes that the system sets by itself and that no build can use (Nix's `ignored-acls`).
_KEPT_ATTRIBUTES = frozenset({"security.csm", "security.selinux", "system.nfs4_acl"})
_NOT_SUPPORTED = frozenset({errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})
# FreeBSD's sys/unistd.h and sys/acl.h: what fpathconf says of ACLs, and the kinds of ACLs.
_PC_ACL_EXTENDED, _PC_ACL_NFS4 = 59, 64
_ACL_ACCESS, _ACL_DEFAULT, _ACL_NFS4 = 2, 3, 4
_ENOATTR = 87  # FreeBSD's, unknown to `errno`
_SYMLINK_MODE = 0o755

_libc = ctypes.CDLL(None, use_errno=True)


def _failure() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))


def clear(parent: int, name: bytes, status: os.stat_result) -> None:
    """Clear flags such as "immutable" that would forbid to change or delete the file."""
    if getattr(status, "st_flags", 0) == 0:
        return
    if _libc.chflagsat(parent, name, ctypes.c_ulong(0), _AT_SYMLINK_NOFOLLOW) != 0:
        raise _failure()


def open_up(parent: int, name: bytes) -> None:
    """Give ourselves all rights on a directory of ours that lacks them (only needed without root)."""
    if not _LINUX:
        os.chmod(name, 0o700, dir_fd=parent, follow_symlinks=False)
        return
    # Linux's chmod can't be told not to follow; a descriptor that only names the directory can be
    # changed through /proc.
    descriptor = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        os.chmod(f"/proc/self/fd/{descriptor}", 0o700)
    finally:
        os.close(descriptor)


def open_without_links(path: str, flags: int) -> int | None:
    """Open an absolute path none of whose components may be a symlink, in one call.

    None: it can't be opened so, for whatever reason, or this system has no such call.
    """
    if not _LINUX:
        return None
    how = _OPEN_HOW.pack(flags, 0, _RESOLVE_NO_SYMLINKS)
    descriptor = _libc.syscall(
        ctypes.c_long(_SYS_OPENAT2), -1, ctypes.c_char_p(os.fsencode(path)), how, ctypes.c_size_t(len(how))
    )
    return descriptor if descriptor >= 0 else None


def strip_attributes(descriptor: int) -> None:
    """Remove extended attributes (with them ACLs and file capabilities) of an open file or directory."""
    if _LINUX:
        _strip_linux(descriptor)
    else:
        _strip_freebsd(descriptor)
        _strip_acls(descriptor)


def finish_symlink_mode(parent: int, name: bytes) -> None:
    """One mode for all symlinks, where they have any (it means nothing, but it can be seen)."""
    if not _LINUX:
        os.chmod(name, _SYMLINK_MODE, dir_fd=parent, follow_symlinks=False)


def _strip_linux(descriptor: int) -> None:
    try:
        names = os.listxattr(descriptor)
    except OSError as error:
        if error.errno in {*_NOT_SUPPORTED, errno.ENODATA}:
            return
        raise
    for name in names:
        if name not in _KEPT_ATTRIBUTES:
            os.removexattr(descriptor, name)


def _strip_freebsd(descriptor: int) -> None:
    list_fd = _libc.extattr_list_fd
    list_fd.restype = ctypes.c_ssize_t
    list_fd.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t]
    size = list_fd(descriptor, _EXTATTR_NAMESPACE_USER, None, 0)
    if size < 0 and ctypes.get_errno() in _NOT_SUPPORTED:
        return
    if size < 0:
        raise _failure()
    buffer = ctypes.create_string_buffer(max(size, 1))
    size = list_fd(descriptor, _EXTATTR_NAMESPACE_USER, buffer, size)
    names, position = buffer.raw[: max(size, 0)], 0
    while position < len(names):  # each name: one length byte, then the name
        end = position + 1 + names[position]
        if _libc.extattr_delete_fd(descriptor, _EXTATTR_NAMESPACE_USER, names[position + 1 : end]) != 0:
            raise _failure()
        position = end


def _strip_acls(descriptor: int) -> None:
    """Leave what the mode says and nothing more; the mode itself is set afterwards."""
    if _has(descriptor, _PC_ACL_NFS4):
        _reduce_acl(descriptor, _ACL_NFS4)
    elif _has(descriptor, _PC_ACL_EXTENDED):
        _reduce_acl(descriptor, _ACL_ACCESS)
        if (
            stat.S_ISDIR(os.fstat(descriptor).st_mode)
            and _libc.acl_delete_fd_np(descriptor, _ACL_DEFAULT) != 0
            and ctypes.get_errno() != _ENOATTR
        ):
            raise _failure()


def _has(descriptor: int, question: int) -> bool:
    try:
        return os.fpathconf(descriptor, question) > 0
    except OSError:
        return False


def _reduce_acl(descriptor: int, kind: int) -> None:
    """Replace an ACL by what is left of it when it is made to say no more than a mode can."""
    for name in ("acl_get_fd_np", "acl_strip_np"):
        getattr(_libc, name).restype = ctypes.c_void_p
    full = _libc.acl_get_fd_np(descriptor, kind)
    if not full:
        raise _failure()
    plain = _libc.acl_strip_np(ctypes.c_void_p(full), 0)
    try:
        if not plain or _libc.acl_set_fd_np(descriptor, ctypes.c_void_p(plain), kind) != 0:
            raise _failure()
    finally:
        for acl in filter(None, (full, plain)):
            _libc.acl_free(ctypes.c_void_p(acl))


def clone(source: int, destination: int) -> bool:
    """Make `destination` share all data of `source` (copy on write).

    False when the file system can't.
    """
    if not _LINUX:
        return False
    try:
        fcntl.ioctl(destination, _FICLONE, source)
    except OSError:
        return False
    return True


def shares_data(first: int, second: int) -> bool:
    """Whether two open files begin with the very same block of the disk, as clones do.

    False where the system or the file system can't say.
    """
    if not _LINUX:
        return False
    places = [_first_extent(descriptor) for descriptor in (first, second)]
    return places[0] is not None and places[0] == places[1]


def _first_extent(descriptor: int) -> tuple[int, int] | None:
    """Where the first extent of an open file lies on the disk, and its length. None: nowhere for good."""
    asked = _FIEMAP_HEAD.pack(0, (1 << 64) - 1, 0, 0, 1, 0) + bytes(_FIEMAP_EXTENT.size)
    try:
        answer = fcntl.ioctl(descriptor, _FIEMAP, asked)
    except OSError:
        return None
    if not _FIEMAP_HEAD.unpack_from(answer)[3]:
        return None
    _, physical, length, flags = _FIEMAP_EXTENT.unpack_from(answer, _FIEMAP_HEAD.size)
    return None if flags & _FIEMAP_NO_PLACE else (physical, length)


def exchange(parent: int, name: bytes, other_parent: int, other_name: bytes) -> bool:
    """Let two names change places in one step. False when the system or the file system can't."""
    if not _LINUX or not hasattr(_libc, "renameat2"):
        return False
    if _libc.renameat2(parent, name, other_parent, other_name, _RENAME_EXCHANGE) == 0:
        return True
    if ctypes.get_errno() in {errno.ENOSYS, errno.EINVAL}:
        return False
    raise _failure()


def sync_file_system(descriptor: int) -> bool:
    """Write the whole file system that holds `descriptor` to disk.

    False when this system has no such call.

    Raises:
        OSError: the system reports that data could not be written.
    """
    if not _LINUX:
        return False
    if _libc.syncfs(descriptor) != 0:
        raise _failure()
    return True
