"""FreeBSD's numbers and layouts: constants, encodings of arguments, decodings of answers.

Pure: works on any system.

Sizes and offsets are those of LP64 machines (amd64, arm64) with 64-bit inode numbers, FreeBSD 12
and later. Sources: sys/sys/mount.h, jail.h, procctl.h, user.h, fs/devfs/devfs.h, net/if.h.
`tests/sandbox/freebsd/test_abi.py` holds each as bytes.

`Pair` is one option of nmount(2) or parameter of jail_set(2) and jail_get(2), as the kernel sees
it: the name with its NUL, and the value's exact bytes; None for an option that is set by its name
alone, a `bytearray` for what the kernel fills in.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping, Sequence

from fruix.dataclass import dataclass

Pair = tuple[bytes, bytes | bytearray | None]

# mount flags and those of unmount(2), getfsstat(2)
MNT_RDONLY, MNT_NOEXEC, MNT_NOSUID, MNT_NOATIME = 0x1, 0x4, 0x8, 0x10000000
MNT_FORCE, MNT_NONBUSY, MNT_BYFSID = 0x80000, 0x4000000, 0x8000000
MNT_NOWAIT = 2
MNAMELEN = 1024
MOUNT_ERRMSG_SIZE = 255
# jail_set(2), jail_get(2); the last four since 15
JAIL_CREATE, JAIL_UPDATE, JAIL_ATTACH, JAIL_DYING = 0x01, 0x02, 0x04, 0x08
JAIL_USE_DESC, JAIL_AT_DESC, JAIL_GET_DESC, JAIL_OWN_DESC = 0x10, 0x20, 0x40, 0x80
JAIL_ERRMSG_SIZE = 256
JAIL_NAME_SIZE = 256
DISABLE, NEW, INHERIT = 0, 1, 2  # of parameters like vnet, ip4, sysvmsg
# procctl(2)
P_PID = 0
PROC_REAP_ACQUIRE, PROC_REAP_STATUS, PROC_REAP_KILL = 2, 4, 6
PROC_PDEATHSIG_CTL, PROC_NO_NEW_PRIVS_CTL = 11, 19
PROC_NO_NEW_PRIVS_ENABLE = 1
REAPER_STATUS_OWNED = 0x1
# ioctl(2) of /dev
DEVFSIO_RADD, DEVFSIO_RDEL, DEVFSIO_RGETNEXT = 0xC0EC4400, 0x80044401, 0xC0EC4404
DEVFS_MAGIC = 0xDB0A087A
DRC_PATHPTRN = 0x2
DRA_BACTS = 0x1
DRB_HIDE, DRB_UNHIDE = 0x1, 0x2
# ioctl(2) of sockets
SIOCAIFADDR, SIOCGIFFLAGS, SIOCSIFFLAGS = 0x8044692B, 0xC0206911, 0x80206910
IFF_UP = 0x1
# sysctl(3): processes by number, effective or real user; state of one that waits to be reaped
KERN_PROC_PID, KERN_PROC_UID, KERN_PROC_RUID = (1, 14, 1), (1, 14, 5), (1, 14, 6)
SZOMB = 5

STATFS_SIZE = 2344
REAPER_SIZE = 80
KINFO_PROC_SIZE = 1088
_STATFS_FSID, _STATFS_TYPE, _STATFS_FROM, _STATFS_ON = 192, 280, 296, 1320
# Size, pid, real user, resident pages, run time, children's, state.
_KINFO = struct.Struct("=i68xi96xI88xq56xQ16xqq20xB")
_DEVFS_RULE = struct.Struct("=IIii200siiIIHH")
_IFALIASREQ = struct.Struct("=16s16s16s16si")
_IFREQ_FLAGS = struct.Struct("=16sH14x")
_SOCKADDR_IN = struct.Struct("=BB2s4s8x")
_REAPER_KILL = struct.Struct("=iIiIi60x")
_FREEBSD_AF_INET = 2

# What kernels of a release can do that earlier ones can't, by major version.
SINCE: Mapping[str, int] = {
    "vnet": 13,  # 12 has it, but tearing it down leaks or panics
    "no_new_privs": 13,
    "unix sockets stop at nullfs": 15,
    "jail descriptors": 15,
}


@dataclass(frozen=True, slots=True)
class FileSystem:
    """One row of the system's mount table (`struct statfs`)."""

    fstype: bytes
    source: bytes
    target: bytes
    flags: int = 0
    fsid: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Process:
    """A living process (`struct kinfo_proc`).

    `uid`: its real user; `cpu_us`: processor time of it and of the dead it waited for; `pages`:
    resident ones.
    """

    pid: int
    uid: int
    cpu_us: int
    pages: int


def major(osreldate: int) -> int:
    """The major release that a release date belongs to: 13 for 1302001."""
    return osreldate // 100000


def has(feature: str, osreldate: int) -> bool:
    """Whether a kernel of that `kern.osreldate` has one of `SINCE`."""
    return major(osreldate) >= SINCE[feature]


def text(name: str, value: bytes) -> Pair:
    """A string: its length counts the NUL."""
    return name.encode() + b"\0", value + b"\0"


def integer(name: str, value: int) -> Pair:
    """Four bytes, in the machine's order."""
    return name.encode() + b"\0", struct.pack("=i", value)


def flag(name: str) -> Pair:
    """Set by its name alone; a value would be ignored."""
    return name.encode() + b"\0", None


def buffer(name: str, size: int, start: bytes = b"") -> Pair:
    """Room for an answer of the kernel's, zeroed but for `start`."""
    return name.encode() + b"\0", bytearray(start.ljust(size, b"\0"))


def string_in(value: bytes | bytearray | None) -> bytes:
    """What stands before the first NUL."""
    return bytes(value or b"").partition(b"\0")[0]


def integer_in(value: bytes | bytearray | None) -> int:
    """The number in four bytes of an answer; 0 where there is none."""
    return int(struct.unpack("=i", bytes(value or b"\0\0\0\0"))[0])


def errmsg_of(pairs: Sequence[Pair]) -> str:
    """What the kernel wrote into the pair `errmsg`."""
    return "".join(
        string_in(value).decode("utf-8", "replace") for name, value in pairs if name == b"errmsg\0"
    )


def devfs_rule(ruleset: int, number: int, action: int, pattern: bytes = b"") -> bytearray:
    """`struct devfs_rule`: hide or unhide what matches `pattern`, or everything.

    Rule `number` 0 is put after the others.
    """
    condition = DRC_PATHPTRN if pattern else 0
    return bytearray(
        _DEVFS_RULE.pack(
            DEVFS_MAGIC, ruleset << 16 | number, condition, 0, pattern, DRA_BACTS, action, 0, 0, 0, 0
        )
    )


def devfs_rule_in(rule: bytes | bytearray) -> tuple[int, int, int, bytes]:
    """(ruleset, number, action, pattern): the inverse of `devfs_rule`."""
    _, identity, condition, _, pattern, _, action, *_ = _DEVFS_RULE.unpack(bytes(rule))
    return identity >> 16, identity & 0xFFFF, action, string_in(pattern) if condition else b""


def devfs_rule_id(ruleset: int, number: int) -> bytearray:
    """The argument of DEVFSIO_RDEL (`devfs_rid`): ruleset and rule in one number."""
    return bytearray(struct.pack("=I", ruleset << 16 | number))


def loopback_address(interface: bytes = b"lo0") -> bytearray:
    """`struct ifaliasreq`, the argument of SIOCAIFADDR: give `interface` the address 127.0.0.1/8."""
    address, mask = (
        _SOCKADDR_IN.pack(_SOCKADDR_IN.size, _FREEBSD_AF_INET, b"\0\0", socket.inet_aton(text))
        for text in ("127.0.0.1", "255.0.0.0")
    )
    return bytearray(_IFALIASREQ.pack(interface, address, b"", mask, 0))


def interface_flags(flags: int, interface: bytes = b"lo0") -> bytearray:
    """`struct ifreq`, the argument of SIOCGIFFLAGS and SIOCSIFFLAGS."""
    return bytearray(_IFREQ_FLAGS.pack(interface, flags))


def interface_flags_in(request: bytes | bytearray) -> int:
    """The flags (IFF_…) that SIOCGIFFLAGS has written into a `struct ifreq`."""
    return int(_IFREQ_FLAGS.unpack(bytes(request))[1])


def reaper_kill(signal: int) -> bytearray:
    """`struct procctl_reaper_kill`: send `signal` to all descendants, not to one subtree of them."""
    return bytearray(_REAPER_KILL.pack(signal, 0, 0, 0, 0))


def owns_descendants(status: bytes | bytearray) -> bool:
    """Whether `struct procctl_reaper_status` tells of a process that is a reaper itself."""
    return bool(struct.unpack_from("=I", status)[0] & REAPER_STATUS_OWNED)


def file_systems_in(table: bytes) -> list[FileSystem]:
    """The rows of a mount table as getfsstat(2) writes them, `STATFS_SIZE` bytes each."""
    return [_file_system(table[start : start + STATFS_SIZE]) for start in range(0, len(table), STATFS_SIZE)]


def _file_system(row: bytes) -> FileSystem:
    return FileSystem(
        string_in(row[_STATFS_TYPE:_STATFS_FROM]),
        string_in(row[_STATFS_FROM:_STATFS_ON]),
        string_in(row[_STATFS_ON : _STATFS_ON + MNAMELEN]),
        int(struct.unpack_from("=Q", row, 8)[0]),
        struct.unpack_from("=ii", row, _STATFS_FSID),
    )


def living_processes_in(table: bytes) -> list[Process]:
    """The processes of an array of `struct kinfo_proc`, without those that only wait to be reaped."""
    if table and struct.unpack_from("=i", table)[0] != KINFO_PROC_SIZE:
        raise OSError(22, "struct kinfo_proc has another size on this machine")
    rows = [_KINFO.unpack_from(table, start) for start in range(0, len(table), KINFO_PROC_SIZE)]
    return [
        Process(pid, uid, own_us + 1_000_000 * seconds + microseconds, pages)
        for _, pid, uid, pages, own_us, seconds, microseconds, state in rows
        if state != SZOMB
    ]
