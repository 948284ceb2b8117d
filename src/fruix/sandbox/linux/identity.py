"""Giving up root for good: capabilities, groups, ids; checked afterwards."""

from __future__ import annotations

import functools
import os

from fruix.sandbox.linux import libc
from fruix.sandbox.linux.kernel_files import read, write_to
from fruix.sandbox.spec import Identity

_STATUS = "/proc/self/status"
_LAST_CAPABILITY = "/proc/sys/kernel/cap_last_cap"
_MOST_CAPABILITIES = 64
_NO_CAPABILITY = "0" * 16
_OVERFLOW_GID = 65534


@functools.cache
def read_last_capability() -> int:
    """The highest capability number of this kernel; read once, while /proc is still the host's."""
    try:
        return int(read(_LAST_CAPABILITY))
    except OSError:
        return _MOST_CAPABILITIES - 1


def enter_namespace(identity: Identity, more: int) -> None:
    """Become the build user in a user namespace of its own, and in what else the clone flags `more` name.

    It is made after everything has been mounted, so the builder has no power over any mount.
    """
    set_ids(identity)
    # After a change of ids /proc/self belongs to root, and its map files can't be written, until
    # the process is dumpable.
    libc.prctl(libc.PR_SET_DUMPABLE, 1)
    libc.unshare(libc.CLONE_NEWUSER | more)
    write_to("/proc/self/setgroups", "deny")
    write_to("/proc/self/uid_map", f"{identity.inside_uid} {identity.uid} 1")
    write_to("/proc/self/gid_map", f"{identity.inside_gid} {identity.gid} 1")
    libc.prctl(libc.PR_SET_DUMPABLE, 0)


def drop(identity: Identity, last_capability: int) -> None:
    """Give up everything; the ids too, unless `enter_namespace` has changed them already."""
    drop_bounding_set(last_capability)
    libc.prctl(libc.PR_CAP_AMBIENT, libc.PR_CAP_AMBIENT_CLEAR_ALL)
    if not identity.user_namespace:
        set_ids(identity)
    libc.drop_all_capabilities()  # a change of ids leaves those that may be inherited
    verify(identity)


def set_ids(identity: Identity) -> None:
    """Take the build user's ids as they are outside of a namespace of its own.

    Supplementary groups are those that it may have, mostly none.
    """
    if not identity.shared:
        os.setgroups(identity.groups)
    os.setresgid(identity.gid, identity.gid, identity.gid)
    os.setresuid(identity.uid, identity.uid, identity.uid)


def drop_bounding_set(last: int) -> None:
    """No program that is executed from here on gets a capability, whoever it runs as."""
    for capability in range(last + 1):
        libc.drop_from_bounding_set(capability)


def capabilities() -> str:
    """What the kernel says of the process's sets of capabilities: lines of a name and hexadecimal digits."""
    status = read(_STATUS)
    return status[status.index("\nCapInh") + 1 : status.index("\n", status.index("CapAmb"))]


def verify(identity: Identity) -> None:
    """Check that the process has the builder's ids and groups, and no capability.

    Raises:
        OSError: EPERM, something of root's power is left.
    """
    inside = (identity.inside_uid, identity.inside_gid)
    if os.getresuid() != (inside[0],) * 3 or os.getresgid() != (inside[1],) * 3:
        raise OSError(1, f"ids are {os.getresuid()}:{os.getresgid()}, not {inside}")
    # A group of the host has no number of its own in a user namespace; of a shared user all are left.
    nameless = identity.shared or (identity.user_namespace and identity.groups)
    expected = {_OVERFLOW_GID} if nameless else set(identity.groups)
    if not set(os.getgroups()) <= {inside[1], *expected}:
        raise OSError(1, f"supplementary groups are left: {os.getgroups()}")
    sets = capabilities()
    if set(sets.split()[1::2]) != {_NO_CAPABILITY}:
        raise OSError(1, f"capabilities are left: {sets}")
