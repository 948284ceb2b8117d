"""System calls that `os` lacks, through ctypes.

Numbers and structures are the kernel's (include/uapi); nothing here decides anything.

`ctypes` passes a bare Python int to a variadic function as 32 bits, so every function here says its
arguments' types, once: a sandbox takes a hundred calls, and to wrap each argument cost more than the call.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import struct

_libc = ctypes.CDLL(None, use_errno=True)
_MOST_ARGUMENTS = 6  # of a system call
_NONE = (None,) * _MOST_ARGUMENTS


def _typed(library: ctypes.CDLL) -> ctypes.CDLL:
    """Say the types of what is called here: an address or a number in all registers of a system call."""
    library.syscall.restype = ctypes.c_long
    library.syscall.argtypes = (ctypes.c_long, *(ctypes.c_void_p,) * _MOST_ARGUMENTS)
    library.prctl.argtypes = (ctypes.c_int, *(ctypes.c_ulong,) * 4)
    library.mount.argtypes = (ctypes.c_char_p,) * 3 + (ctypes.c_ulong, ctypes.c_char_p)
    library.sethostname.argtypes = library.setdomainname.argtypes = (ctypes.c_char_p, ctypes.c_size_t)
    library.personality.argtypes = (ctypes.c_ulong,)
    return library


_typed(_libc)
# Holds the interpreter's lock over the call: for a fork.
_holding = _typed(ctypes.PyDLL(None, use_errno=True))
# Looked up now: the first look makes an object, in every process that was forked before it.
_umount2, _unshare = _libc.umount2, _libc.unshare
_before_fork, _after_fork_parent = ctypes.pythonapi.PyOS_BeforeFork, ctypes.pythonapi.PyOS_AfterFork_Parent
_after_fork_child = ctypes.pythonapi.PyOS_AfterFork_Child

# mount(2)
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 32, 4096, 16384, 1 << 18
MNT_DETACH = 2
# mount_setattr(2)
MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC = 1, 2, 4, 8
AT_FDCWD, AT_RECURSIVE = -100, 0x8000
# open_tree(2), move_mount(2)
_OPEN_TREE_CLONE, _AT_SYMLINK_NOFOLLOW, _MOVE_MOUNT_F_EMPTY_PATH = 1, 0x100, 4
_OPEN_TREE_FLAGS = _OPEN_TREE_CLONE | _AT_SYMLINK_NOFOLLOW | AT_RECURSIVE | os.O_CLOEXEC
# clone(2), unshare(2)
CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS = 0x20000, 0x2000000, 0x4000000
CLONE_PARENT, CLONE_INTO_CGROUP = 0x8000, 0x200000000
CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x8000000, 0x10000000, 0x20000000, 0x40000000
# prctl(2)
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_KEEPCAPS, PR_CAPBSET_DROP = 1, 4, 8, 24
PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 38, 47
PR_CAP_AMBIENT_CLEAR_ALL = 4
# personality(2)
PER_LINUX32 = 8
ADDR_NO_RANDOMIZE = 0x0040000
CAP_SYS_PTRACE = 19
CLOSE_RANGE_CLOEXEC = 4
_CAPABILITY_VERSION_3 = 0x20080522

# What the kernel calls this machine, like `x86_64`; asked now, since a personality changes the answer.
MACHINE = os.uname().machine
# Numbers below 424 differ per architecture.
_NUMBERS = {
    "x86_64": {
        "pivot_root": 155,
        "capset": 126,
        "seccomp": 317,
        "keyctl": 250,
        "ioprio_set": 251,
        "set_mempolicy": 238,
        "rt_sigaction": 13,
    },
    "aarch64": {
        "pivot_root": 41,
        "capset": 91,
        "seccomp": 277,
        "keyctl": 219,
        "ioprio_set": 30,
        "set_mempolicy": 237,
        "rt_sigaction": 134,
    },
}
_SHARED = {
    "open_tree": 428,
    "move_mount": 429,
    "mount_setattr": 442,
    "close_range": 436,
    "clone3": 435,
    "landlock_create_ruleset": 444,
    "landlock_restrict_self": 446,
}


def number(call: str) -> int:
    """The number of a system call on this machine.

    Raises:
        OSError: this architecture is not known here (ENOSYS).
    """
    if call in _SHARED:
        return _SHARED[call]
    try:
        return _NUMBERS[MACHINE][call]
    except KeyError:
        raise OSError(38, f"system call {call} is not known on {MACHINE}") from None


def check(result: int, *what: str | bytes | int | None) -> int:
    """Turn a C result into itself or an OSError, which says what was called."""
    if result < 0:
        error = ctypes.get_errno()
        said = " ".join(os.fsdecode(word) if isinstance(word, bytes) else str(word or "") for word in what)
        raise OSError(error, f"{os.strerror(error)}{f': {said}' if said else ''}")
    return result


def syscall(call: str | int, *arguments: int | bytes | ctypes.Array[ctypes.c_char] | None) -> int:
    """A raw system call; integers as 64 bits, bytes and buffers by address."""
    which = call if isinstance(call, int) else number(call)
    return check(_libc.syscall(which, *arguments, *_NONE[len(arguments) :]), call)


def mount(
    source: bytes | None, target: bytes, fstype: bytes | None, flags: int, data: bytes | None = None
) -> None:
    """Call mount(2); the error names source and target."""
    check(_libc.mount(source, target, fstype, flags, data), "mount", source, "on", target)


def umount(target: bytes, flags: int) -> None:
    """Call umount2(2) with MNT_… or UMOUNT_… as `flags`; the error names the target."""
    check(_umount2(target, flags), "umount", target)


def mount_setattr(path: bytes, flags: int, set_: int, clear: int = 0) -> None:
    """Change mount attributes; with AT_RECURSIVE in `flags` of everything below too (Linux 5.12)."""
    attributes = struct.pack("=QQQQ", set_, clear, 0, 0)  # which the kernel only reads
    syscall("mount_setattr", AT_FDCWD, path, flags, attributes, len(attributes))


def open_tree(directory: int, path: bytes) -> int:
    """A copy of what is seen at `path`, with all that is mounted below it, mounted nowhere yet: a descriptor.

    `path` counts from the open `directory`. A symlink at its end is not followed: the copy is of the link
    itself, and can only be looked at.
    """
    result: int = _libc.syscall(_SHARED["open_tree"], directory, path, _OPEN_TREE_FLAGS, None, None, None)
    return result if result >= 0 else check(result, "open_tree", path)


def move_mount(tree: int, directory: int, name: bytes) -> None:
    """Mount what `open_tree` gave at `name` in an open directory; follows no symlink there."""
    result: int = _libc.syscall(
        _SHARED["move_mount"], tree, b"", directory, name, _MOVE_MOUNT_F_EMPTY_PATH, None
    )
    if result < 0:
        check(result, "move_mount", name)


def pivot_root(new: bytes, old: bytes) -> None:
    """Make `new` the root of this mount namespace, and show the old one at `old` (pivot_root(2))."""
    syscall("pivot_root", new, old)


def unshare(flags: int) -> None:
    """Move this process into new namespaces, named by their clone flags (unshare(2))."""
    check(_unshare(flags), "unshare")


def setns(descriptor: int, kind: int) -> None:
    """Enter a namespace, of which `descriptor` is open; `kind`: its clone flag."""
    check(_libc.setns(descriptor, kind), "setns")


def prctl(option: int, *arguments: int) -> int:
    """prctl(2) with up to four arguments."""
    return check(_libc.prctl(option, *(*arguments, 0, 0, 0, 0)[:4]), "prctl", option)


def drop_from_bounding_set(capability: int) -> None:
    """Take a capability from the bounding set, if this kernel knows it: forty calls for a sandbox."""
    if _libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0 and ctypes.get_errno() != errno.EINVAL:
        check(-1, "prctl", PR_CAPBSET_DROP)


def sethostname(name: bytes) -> None:
    """The host name of this UTS namespace."""
    check(_libc.sethostname(name, len(name)), "sethostname")


def setdomainname(name: bytes) -> None:
    """The (NIS) domain name of this UTS namespace."""
    check(_libc.setdomainname(name, len(name)), "setdomainname")


def personality(persona: int) -> None:
    """Set how the kernel runs later programs of this process: PER_… and flags (personality(2))."""
    check(_libc.personality(persona), "personality")


def drop_all_capabilities(*kept: int) -> None:
    """Empty effective, permitted and inheritable sets (capset); those in `kept` stay in the first two."""
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)  # written to where the kernel knows no such version
    bits = sum(1 << capability for capability in kept)
    low, high = bits & 0xFFFFFFFF, bits >> 32
    syscall("capset", header, struct.pack("=6I", low, low, 0, high, high, 0))


def close_on_exec_from(lowest: int) -> None:
    """Every descriptor from `lowest` on is closed by the next exec."""
    syscall("close_range", lowest, 0xFFFFFFFF, CLOSE_RANGE_CLOEXEC)


def close_from(lowest: int, highest: int = 0xFFFFFFFF) -> None:
    """Close every descriptor from `lowest` on, up to `highest`."""
    syscall("close_range", lowest, highest, 0)


def clone(flags: int, cgroup: int = -1) -> int:
    """Fork into new namespaces with one system call; 0 in the child.

    The child is born in the control group whose directory is open as `cgroup`.

    A process born in its group saves the move there, which waits for all processors. Only for a
    single-threaded process: the C library's fork handlers don't run; Python's own are run here.
    With CLONE_PARENT it is a child of this process's parent, which hears of its end as of this one's.
    struct clone_args: clone(2).
    """
    into = CLONE_INTO_CGROUP if cgroup >= 0 else 0
    end = 0 if flags & CLONE_PARENT else signal.SIGCHLD
    arguments = struct.pack("=11Q", flags | into, 0, 0, 0, end, 0, 0, 0, 0, 0, max(cgroup, 0))
    call = (number("clone3"), arguments, len(arguments), *_NONE[2:])
    _before_fork()
    pid = int(_holding.syscall(*call))
    if pid == 0:
        _after_fork_child()
        return 0
    error = ctypes.get_errno()
    _after_fork_parent()
    if pid < 0:
        raise OSError(error, f"{os.strerror(error)}: clone")
    return pid
