"""The rules of the system call filter: calls, what is looked at in their arguments, and the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fruix.dataclass import dataclass
from fruix.sandbox.linux import libc

# Answers: SECCOMP_RET_… of linux/seccomp.h, errors with their number.
ALLOW, KILL, ASK = 0x7FFF0000, 0x80000000, 0x7FC00000
_ERRNO = 0x00050000
EPERM, NOT_TYPEWRITER, ABSENT = _ERRNO | 1, _ERRNO | 25, _ERRNO | 38
NO_PROTOCOL, NOT_SUPPORTED, NO_FAMILY = _ERRNO | 93, _ERRNO | 95, _ERRNO | 97


@dataclass(frozen=True, slots=True)
class Test:
    """A test of one argument, after `mask` (0: all of it).

    It holds if any of `bits` is set, or if the argument is one of `values` (or, `negated`, none of
    them).
    """

    argument: int
    values: tuple[int, ...] = ()
    bits: int = 0
    mask: int = 0
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """The answer `action` if all tests hold."""

    action: int
    when: tuple[Test, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """The first case that holds answers; if none does, the call is allowed."""

    cases: tuple[Case, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """Names of calls (see `system_calls`) and what becomes of them."""

    calls: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Convention:
    """An ABI as the kernel names it (AUDIT_ARCH_…).

    With it go ranges of call numbers (first, last, action) that are outside the common table.
    """

    audit: int
    ranges: tuple[tuple[int, int, int], ...] = ()


CONVENTIONS: Mapping[str, Convention] = {
    # x32 has a bit of its own, and each of its calls would slip past the rules. -1 is no call (a
    # tracer's way to cancel).
    "x86_64": Convention(0xC000003E, ((0x40000000, 0xFFFFFFFE, KILL),)),
    "i386": Convention(0x40000003),
    "aarch64": Convention(0xC00000B7),
    "arm": Convention(0x40000028, ((0xF0001, 0xF0006, ALLOW),)),  # private calls: cacheflush, set_tls…
}
MACHINES: Mapping[str, tuple[str, ...]] = {"x86_64": ("x86_64", "i386"), "aarch64": ("aarch64", "arm")}

# Modes and flags of files.
_SET_ID = 0o6000
_CREATES = 0x40 | 0x400000  # O_CREAT, O_TMPFILE's own bit: without them `mode` is garbage

# Families of sockets (AF_…), protocols of netlink (NETLINK_…) and of the internet (IPPROTO_…).
_UNIX, _INET, _INET6, _NETLINK = 1, 2, 10, 16
_ROUTE = 0
_ANY, _ICMP, _TCP, _UDP, _ICMPV6, _RAW = 0, 1, 6, 17, 58, 255
# socketcall(2)'s own numbers of socket and socketpair: of their arguments it has only the address.
SOCKET, SOCKETPAIR = 1, 8

# ioctls that push keystrokes into a terminal, take the console, or load a line discipline: TIOCSTI,
# TIOCLINUX, TIOCCONS, TIOCSETD.
_TERMINALS = (0x5412, 0x541C, 0x541D, 0x5423)
# ioctls that leave on a file what an archive can't hold: FS_IOC_SETFLAGS, FS_IOC_SETVERSION,
# EXT4_IOC_SETVERSION (each for 64 and for 32 bits), FS_IOC_FSSETXATTR, FS_IOC_ENABLE_VERITY,
# FS_IOC_SET_ENCRYPTION_POLICY, FS_IOC_ADD_ENCRYPTION_KEY, FAT_IOCTL_SET_ATTRIBUTES.
_ATTRIBUTES = (
    *(0x40086602, 0x40046602, 0x40087602, 0x40047602, 0x40086604, 0x40046604),
    *(0x401C5820, 0x40806685, 0x800C6613, 0xC0506617, 0x40047211),
)
# btrfs' own ioctls (subvolumes, snapshots…) share their type with three that every file system
# answers: FICLONE, FICLONERANGE, FIDEDUPERANGE.
_BTRFS, _TYPE = 0x9400, 0xFF00
_CLONES = (0x40049409, 0x4020940D, 0xC0189436)

# Flags of clone and unshare that make a namespace; unshare knows one more, whose bit is part of
# clone's signal.
_NAMESPACES = (
    *(libc.CLONE_NEWNS, libc.CLONE_NEWCGROUP, libc.CLONE_NEWUTS, libc.CLONE_NEWIPC),
    *(libc.CLONE_NEWUSER, libc.CLONE_NEWPID, libc.CLONE_NEWNET),
)
_NEW_TIME = 0x80


def _always(action: int) -> Verdict:
    return Verdict((Case(action),))


def _when(action: int, *tests: Test) -> Verdict:
    return Verdict((Case(action, tests),))


def _set_id(mode: int) -> Verdict:
    return _when(EPERM, Test(mode, bits=_SET_ID))


def _creates_set_id(flags: int, mode: int) -> Verdict:
    return _when(EPERM, Test(flags, bits=_CREATES), Test(mode, bits=_SET_ID))


_NO_ATTRIBUTES, _ABSENT, _FORBIDDEN = _always(NOT_SUPPORTED), _always(ABSENT), _always(EPERM)
FAMILIES = Verdict(
    (
        Case(NO_FAMILY, (Test(0, (_UNIX, _INET, _INET6, _NETLINK), negated=True),)),
        # Of netlink what names and addresses of interfaces take. The others tell of the whole
        # machine (devices, audit), or configure it.
        Case(NO_PROTOCOL, (Test(0, (_NETLINK,)), Test(2, (_ROUTE,), negated=True))),
        # The kernel loads modules for others (SCTP, DCCP, SMC…) when they are asked for.
        Case(
            NO_PROTOCOL,
            (
                Test(0, (_INET, _INET6)),
                Test(2, (_ANY, _ICMP, _TCP, _UDP, _ICMPV6, _RAW), negated=True),
            ),
        ),
    )
)
_IOCTLS = Verdict(
    (
        Case(EPERM, (Test(1, _TERMINALS),)),
        Case(NOT_SUPPORTED, (Test(1, _ATTRIBUTES),)),
        Case(NOT_TYPEWRITER, (Test(1, (_BTRFS,), mask=_TYPE), Test(1, _CLONES, negated=True))),
    )
)

SOCKETCALL = Rule("socketcall", _when(ABSENT, Test(0, (SOCKET, SOCKETPAIR))))
ASKED_SOCKETCALL = Rule("socketcall", _when(ASK, Test(0, (SOCKET, SOCKETPAIR))))
"""In place of it where somebody answers for it: see `socketcall`."""

RULES: tuple[Rule, ...] = (
    # What an archive can't hold.
    Rule("chmod fchmod", _set_id(1)),
    Rule("fchmodat fchmodat2", _set_id(2)),
    Rule("creat mknod", _set_id(1)),
    Rule("mknodat", _set_id(2)),
    Rule("open", _creates_set_id(1, 2)),
    Rule("openat", _creates_set_id(2, 3)),
    Rule("setxattr lsetxattr fsetxattr setxattrat file_setattr", _NO_ATTRIBUTES),
    # Reading too, or tools record what only this host's file systems have (security labels).
    Rule("getxattr lgetxattr fgetxattr getxattrat", _NO_ATTRIBUTES),
    Rule("listxattr llistxattr flistxattr listxattrat", _NO_ATTRIBUTES),
    Rule("ioctl", _IOCTLS),
    # Arguments behind pointers, calls from a ring. The C library falls back to clone, and to open.
    Rule("openat2 io_uring_setup io_uring_enter io_uring_register", _ABSENT),
    Rule("clone3", _ABSENT),
    # What no namespace separates.
    Rule("socket socketpair", FAMILIES),
    SOCKETCALL,
    Rule("add_key request_key keyctl", _ABSENT),
    Rule("bpf userfaultfd perf_event_open memfd_secret", _ABSENT),
    Rule("lsm_get_self_attr lsm_set_self_attr lsm_list_modules", _ABSENT),
    Rule("syslog fanotify_init fanotify_mark quotactl quotactl_fd open_by_handle_at", _FORBIDDEN),
    # Root's power.
    Rule("acct swapon swapoff reboot kexec_load kexec_file_load", _FORBIDDEN),
    Rule("init_module finit_module delete_module", _FORBIDDEN),
    Rule("settimeofday clock_settime clock_settime64 stime vhangup iopl ioperm", _FORBIDDEN),
    Rule("unshare", _when(EPERM, Test(0, bits=sum(_NAMESPACES) | _NEW_TIME))),
    Rule("clone", _when(EPERM, Test(0, bits=sum(_NAMESPACES)))),
    Rule("setns chroot pivot_root sethostname setdomainname", _FORBIDDEN),
    Rule("mount umount umount2 open_tree open_tree_attr move_mount", _FORBIDDEN),
    Rule("fsopen fsconfig fsmount fspick mount_setattr", _FORBIDDEN),
    # Obsolete: gone from most kernels.
    Rule("lookup_dcookie nfsservctl uselib _sysctl sysfs bdflush", _ABSENT),
    Rule("create_module query_module get_kernel_syms", _ABSENT),
    Rule("vm86 vm86old modify_ldt pciconfig_iobase pciconfig_read pciconfig_write", _ABSENT),
)


def judge(verdict: Verdict, arguments: Sequence[int]) -> int:
    """The answer to a call with these arguments, as the program gives it."""
    return next(
        (case.action for case in verdict.cases if all(_holds(test, arguments) for test in case.when)), ALLOW
    )


def _holds(test: Test, arguments: Sequence[int]) -> bool:
    value = arguments[test.argument] & (test.mask or 0xFFFFFFFF)
    return bool(value & test.bits) if test.bits else (value in test.values) is not test.negated
