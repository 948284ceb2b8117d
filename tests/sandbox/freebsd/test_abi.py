"""Numbers and layouts of FreeBSD's system calls, written out.

Nothing here is computed by the code that it tests.

Sources: sizes, offsets and numbers as a C compiler and the headers give them (LP64, little-endian).
"""

from __future__ import annotations

import struct

import pytest

from fruix.sandbox.freebsd import abi


def test_flags() -> None:
    assert (abi.MNT_RDONLY, abi.MNT_NOEXEC, abi.MNT_NOSUID, abi.MNT_NOATIME) == (1, 4, 8, 0x10000000)
    assert (abi.MNT_FORCE, abi.MNT_NONBUSY, abi.MNT_BYFSID) == (0x80000, 0x4000000, 0x8000000)
    assert (abi.JAIL_CREATE, abi.JAIL_UPDATE, abi.JAIL_ATTACH, abi.JAIL_DYING) == (1, 2, 4, 8)
    assert (abi.JAIL_USE_DESC, abi.JAIL_AT_DESC) == (0x10, 0x20)
    assert (abi.JAIL_GET_DESC, abi.JAIL_OWN_DESC) == (0x40, 0x80)
    assert (abi.PROC_REAP_ACQUIRE, abi.PROC_REAP_STATUS, abi.PROC_REAP_KILL) == (2, 4, 6)
    assert (abi.PROC_PDEATHSIG_CTL, abi.PROC_NO_NEW_PRIVS_CTL) == (11, 19)


def test_request_numbers() -> None:
    """_IOC: direction in the top three bits, size in 13, group letter, number."""
    assert abi.DEVFSIO_RADD == 0xC0EC4400
    assert abi.DEVFSIO_RDEL == 0x80044401
    assert abi.DEVFSIO_RGETNEXT == 0xC0EC4404
    assert abi.SIOCAIFADDR == 0x8044692B
    assert (abi.SIOCGIFFLAGS, abi.SIOCSIFFLAGS) == (0xC0206911, 0x80206910)


def test_pairs() -> None:
    assert abi.text("name", b"frx-x") == (b"name\x00", b"frx-x\x00")
    assert abi.text("host.domainname", b"") == (b"host.domainname\x00", b"\x00")
    assert abi.integer("vnet", 1) == (b"vnet\x00", b"\x01\x00\x00\x00")
    assert abi.integer("devfs_ruleset", 35001) == (b"devfs_ruleset\x00", b"\xb9\x88\x00\x00")
    assert abi.integer("osreldate", 1302001) == (b"osreldate\x00", b"\xf1\xdd\x13\x00")
    assert abi.flag("allow.noset_hostname") == (b"allow.noset_hostname\x00", None)
    name, value = abi.buffer("errmsg", 256)
    assert (name, bytes(value or b""), type(value)) == (b"errmsg\x00", bytes(256), bytearray)


def test_errmsg() -> None:
    pairs = [abi.text("name", b"x"), abi.buffer("errmsg", 32, b"unknown parameter: foo.bar\x00rest")]
    assert abi.errmsg_of(pairs) == "unknown parameter: foo.bar"
    assert abi.errmsg_of([abi.text("name", b"x")]) == ""


# magic, rule and set, condition, software flags | pattern | iacts, bacts | uid, gid, mode, included set
HIDE_ALL = (
    bytes.fromhex("7a080adb 0000b988 00000000 00000000")
    + bytes(200)
    + bytes.fromhex("01000000 01000000")
    + bytes(12)
)
UNHIDE_NULL = (
    bytes.fromhex("7a080adb 0000b988 02000000 00000000")
    + b"null"
    + bytes(196)
    + bytes.fromhex("01000000 02000000")
    + bytes(12)
)


def test_devfs_rules() -> None:
    assert len(HIDE_ALL) == len(UNHIDE_NULL) == 236
    assert bytes(abi.devfs_rule(35001, 0, abi.DRB_HIDE)) == HIDE_ALL
    assert bytes(abi.devfs_rule(35001, 0, abi.DRB_UNHIDE, b"null")) == UNHIDE_NULL
    assert abi.devfs_rule_in(UNHIDE_NULL) == (35001, 0, 2, b"null")
    assert abi.devfs_rule_in(HIDE_ALL) == (35001, 0, 1, b"")
    assert bytes(abi.devfs_rule_id(35001, 300)) == bytes.fromhex("2c01b988")


def test_loopback() -> None:
    expected = (
        b"lo0" + bytes(13)
        + bytes.fromhex("1002 0000 7f000001 0000000000000000")
        + bytes(16)
        + bytes.fromhex("1002 0000 ff000000 0000000000000000")
        + bytes(4)
    )  # fmt: skip
    assert len(expected) == 68
    assert bytes(abi.loopback_address()) == expected


def test_interface_flags() -> None:
    assert bytes(abi.interface_flags(0x8049)) == b"lo0" + bytes(13) + b"\x49\x80" + bytes(14)
    assert abi.interface_flags_in(b"lo0" + bytes(13) + b"\x49\x80" + bytes(14)) == 0x8049


def test_reaper_kill() -> None:
    assert bytes(abi.reaper_kill(9)) == b"\x09" + bytes(79)


def test_reaper_status() -> None:
    assert abi.owns_descendants(b"\x01" + bytes(79))
    assert abi.owns_descendants(b"\x03" + bytes(79))  # init
    assert not abi.owns_descendants(b"\x02" + bytes(79))
    assert abi.REAPER_SIZE == 80


def statfs(fstype: bytes, source: bytes, target: bytes, fsid: tuple[int, int]) -> bytes:
    """A row as the kernel writes it.

    Version 0x20140518, flags at 8, fsid at 192, names at 280, 296 and 1320.
    """
    row = bytearray(2344)
    struct.pack_into("<IIQ", row, 0, 0x20140518, 0x29, 0x1009)
    struct.pack_into("<ii", row, 192, *fsid)
    for offset, text in ((280, fstype), (296, source), (1320, target)):
        row[offset : offset + len(text)] = text
    return bytes(row)


def test_mount_table() -> None:
    table = statfs(b"ufs", b"/dev/ada0p2", b"/", (0x66554433, 7)) + statfs(
        b"nullfs", b"/usr/bin", b"/frx/var/fruix/builds/frx-a/root/usr/bin", (-3, 0x29)
    )
    first, second = abi.file_systems_in(table)
    assert (first.fstype, first.source, first.target) == (b"ufs", b"/dev/ada0p2", b"/")
    assert second.target == b"/frx/var/fruix/builds/frx-a/root/usr/bin"
    assert (second.fsid, second.flags) == ((-3, 0x29), 0x1009)
    assert abi.file_systems_in(b"") == []


def process(pid: int, state: int) -> bytes:
    """A process as the kernel writes it (`struct kinfo_proc`).

    Its own size comes first, the number is at 72, the real user at 172, resident pages at 264,
    microseconds of run time at 328, those of its children (seconds, microseconds) at 352, the state
    at 388.
    """
    row = bytearray(b"\xee" * 1088)
    for offset, layout, value in (
        (0, "<i", 1088),
        (72, "<i", pid),
        (168, "<I", 0),
        (172, "<I", 35001),
        (264, "<q", 250),
        (328, "<Q", 1_500_000),
        (352, "<q", 2),
        (360, "<q", 30),
        (388, "<B", state),
    ):
        struct.pack_into(layout, row, offset, value)
    return bytes(row)


def test_process_table() -> None:
    sleeping, zombie = 3, 5
    table = process(4711, sleeping) + process(4712, zombie)
    assert abi.living_processes_in(table) == [abi.Process(4711, 35001, 3_500_030, 250)]
    assert abi.living_processes_in(b"") == []
    with pytest.raises(OSError, match="another size"):
        abi.living_processes_in(struct.pack("<i", 1096) + bytes(1092))


@pytest.mark.parametrize(
    ("osreldate", "features"),
    [
        (1201000, set()),
        (1302001, {"vnet", "no_new_privs"}),
        (1403000, {"vnet", "no_new_privs"}),
        (1501000, {"vnet", "no_new_privs", "unix sockets stop at nullfs", "jail descriptors"}),
    ],
)
def test_releases(osreldate: int, features: set[str]) -> None:
    assert {feature for feature in abi.SINCE if abi.has(feature, osreldate)} == features
