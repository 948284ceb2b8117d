"""The double answers as a real 13.2 kernel answered (docs/freebsd.md).

Results, errors, messages, and effects that can be seen.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from double_bench import Bench, fails
from freebsd_double.mounts import PanicError
from fruix.sandbox.freebsd import abi
from fruix.sandbox.freebsd.abi import flag, text

# Mounts


def test_nullfs_shows_a_directory(bench: Bench) -> None:
    source, target = bench.directory("source"), bench.directory("root/target")
    Path(source, "file").write_text("x")
    bench.mount("nullfs", target, source, flag("nounixbypass"), flags=abi.MNT_RDONLY | abi.MNT_NOSUID)
    assert Path(target, "file").read_text() == "x"
    with pytest.raises(OSError, match="Read-only"):
        Path(target, "new").write_text("x")
    assert os.statvfs(target).f_flag & os.ST_NOSUID
    assert bench.mounted() == [("nullfs", target)]
    row = bench.kernel.getfsstat()[1]
    assert (row.source, row.flags) == (source.encode(), abi.MNT_RDONLY | abi.MNT_NOSUID)
    bench.kernel.unmount(target.encode(), 0)
    assert bench.mounted() == []
    assert os.listdir(target) == []


def test_nullfs_stops_at_other_file_systems(bench: Bench) -> None:
    source, target = bench.directory("source"), bench.directory("target")
    inner = bench.directory("source/inner")
    bench.mount("tmpfs", inner, "tmpfs")
    Path(inner, "file").write_text("x")
    bench.mount("nullfs", target, source)
    assert os.listdir(f"{target}/inner") == []


def test_nullfs_refuses(bench: Bench) -> None:
    source, target = bench.directory("source"), bench.directory("target")
    fails(errno.ENOENT, "", lambda: bench.mount("nullfs", target, f"{source}/none"))
    fails(errno.EINVAL, "", lambda: bench.mount("nullfs", target))
    fails(errno.EINVAL, "Invalid fstype", lambda: bench.mount("nullfs", f"{target}/none", source))
    fails(errno.EOPNOTSUPP, "", lambda: bench.mount("nullfs", target, source, flags=0x10000))
    fails(errno.ENODEV, "Invalid fstype", lambda: bench.mount("zzz", target, source))
    file = Path(source, "file")
    file.touch()
    fails(errno.ENOTDIR, "", lambda: bench.mount("nullfs", str(file), source))
    with pytest.raises(PanicError):
        bench.mount("nullfs", target, str(file))
    assert bench.mounted() == []


def test_nullfs_of_a_directory_onto_itself_works_and_the_same_mount_twice_does_not(bench: Bench) -> None:
    source, target = bench.directory("source"), bench.directory("target")
    inner = bench.directory("source/inner")
    bench.mount("nullfs", source, source)
    bench.mount("nullfs", source, source)
    for _ in range(2):
        bench.kernel.unmount(source.encode(), 0)
    bench.mount("nullfs", target, source)
    fails(errno.EDEADLK, "", lambda: bench.mount("nullfs", target, source))
    fails(errno.EDEADLK, "", lambda: bench.mount("nullfs", f"{target}/inner", inner))
    bench.mount("nullfs", f"{target}/inner", bench.directory("other"))
    assert [path for _, path in bench.mounted()] == [target, f"{target}/inner"]


def test_names_and_values_end_with_nul(bench: Bench) -> None:
    fails(errno.EINVAL, "", lambda: bench.kernel.nmount([text("fstype", b"tmpfs")], 0))
    fails(errno.EINVAL, "", lambda: bench.kernel.nmount([(b"fstype", b"tmpfs\0"), text("fspath", b"/")], 0))
    fails(errno.EINVAL, "", lambda: bench.kernel.nmount([(b"fstype\0", b"tmpfs"), text("fspath", b"/")], 0))
    long = text("fspath", b"/" + b"x" * 1100)
    fails(errno.ENAMETOOLONG, "", lambda: bench.kernel.nmount([text("fstype", b"tmpfs"), long], 0))


def test_tmpfs(bench: Bench) -> None:
    target = bench.directory("target")
    options = (text("size", b"1m"), text("mode", b"1777"), text("uid", b"35001"), text("gid", b"35001"))
    bench.mount("tmpfs", target, "tmpfs", *options, flags=abi.MNT_NOSUID)
    status = os.stat(target)
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o1777, 35001, 35001)
    with pytest.raises(OSError, match="No space"):
        Path(target, "big").write_bytes(bytes(2 << 20))
    fails(
        errno.EINVAL,
        "mount option <bogus> is unknown",
        lambda: bench.mount("tmpfs", target, "tmpfs", text("bogus", b"1")),
    )


def test_unmounting_in_order(bench: Bench) -> None:
    source, outer = bench.directory("source"), bench.directory("outer")
    bench.directory("source/inner")
    bench.mount("nullfs", outer, source)
    bench.mount("tmpfs", f"{outer}/inner", "tmpfs")
    bench.mount("tmpfs", f"{outer}/inner", "tmpfs")
    first = next(row for row in bench.kernel.getfsstat() if row.target == f"{outer}/inner".encode())
    fails(errno.EBUSY, "", lambda: bench.kernel.unmount(outer.encode(), 0))
    by_id = abi.MNT_BYFSID | abi.MNT_FORCE
    fails(errno.EBUSY, "", lambda: bench.kernel.unmount(b"FSID:%d:%d" % first.fsid, by_id))
    bench.kernel.unmount(f"{outer}/inner".encode(), 0)
    bench.kernel.unmount(b"FSID:%d:%d" % first.fsid, by_id)
    fails(errno.ENOENT, "", lambda: bench.kernel.unmount(b"FSID:%d:%d" % first.fsid, by_id))
    bench.kernel.unmount(outer.encode(), 0)
    fails(errno.EINVAL, "", lambda: bench.kernel.unmount(outer.encode(), 0))


def test_what_is_in_use_is_busy_until_forced(bench: Bench) -> None:
    target = bench.directory("target")
    bench.mount("tmpfs", target, "tmpfs")
    with open(f"{target}/file", "w", encoding="ascii"):
        fails(errno.EBUSY, "", lambda: bench.kernel.unmount(target.encode(), 0))
        bench.kernel.unmount(target.encode(), abi.MNT_FORCE)
    assert bench.mounted() == []


def test_a_mount_keeps_its_name_when_directories_are_renamed(bench: Bench) -> None:
    bench.directory("outer/inner")
    target = f"{bench.scratch}/outer/inner"
    bench.mount("tmpfs", target, "tmpfs")
    os.rename(f"{bench.scratch}/outer", f"{bench.scratch}/other")
    assert bench.mounted() == [("tmpfs", target)]
    bench.kernel.unmount(target.encode(), 0)
    assert bench.mounted() == []


# Devices


def rule(bench: Bench, action: int, pattern: bytes = b"", ruleset: int = 7, number: int = 0) -> None:
    devices = os.open("/dev", os.O_RDONLY | os.O_DIRECTORY)
    try:
        bench.kernel.ioctl(devices, abi.DEVFSIO_RADD, abi.devfs_rule(ruleset, number, action, pattern))
    finally:
        os.close(devices)


def rules(bench: Bench, ruleset: int = 7) -> list[tuple[int, int, bytes]]:
    devices = os.open("/dev", os.O_RDONLY | os.O_DIRECTORY)
    found: list[tuple[int, int, bytes]] = []

    def all_of_them() -> None:
        while True:
            asked = abi.devfs_rule(ruleset, found[-1][0] if found else 0, 0)
            bench.kernel.ioctl(devices, abi.DEVFSIO_RGETNEXT, asked)
            found.append(abi.devfs_rule_in(asked)[1:])

    fails(errno.ENOENT, "", all_of_them)
    os.close(devices)
    return found


def test_a_ruleset_that_is_not_there_hides_nothing(bench: Bench) -> None:
    target = bench.directory("dev")
    bench.mount("devfs", target, "devfs", text("ruleset", b"4"))
    assert {"mem", "ada0", "null"} <= set(os.listdir(target))


def test_rules_in_their_order(bench: Bench) -> None:
    target = bench.directory("dev")
    rule(bench, abi.DRB_HIDE)
    for name in (b"null", b"fd", b"fd/*", b"zero"):
        rule(bench, abi.DRB_UNHIDE, name)
    rule(bench, abi.DRB_HIDE, b"zero")
    assert [number for number, _, _ in rules(bench)] == [100, 200, 300, 400, 500, 600]
    bench.mount("devfs", target, "devfs", text("ruleset", b"7"), flags=abi.MNT_NOSUID | abi.MNT_NOEXEC)
    assert sorted(os.listdir(target)) == ["fd", "null"]
    assert sorted(os.listdir(f"{target}/fd")) == ["0", "1", "2"]
    with open(f"{target}/null", "wb") as null:
        null.write(b"x")
    fails(
        errno.EINVAL,
        "invalid ruleset specification",
        lambda: bench.mount("devfs", target, "devfs", text("ruleset", b"x")),
    )
    fails(errno.EEXIST, "", lambda: rule(bench, abi.DRB_HIDE, number=100))


def test_deleting_rules(bench: Bench) -> None:
    rule(bench, abi.DRB_HIDE)
    rule(bench, abi.DRB_UNHIDE, b"null")
    devices = os.open("/dev", os.O_RDONLY | os.O_DIRECTORY)
    try:
        bench.kernel.ioctl(devices, abi.DEVFSIO_RDEL, abi.devfs_rule_id(7, 100))
        fails(
            errno.ENOENT,
            "",
            lambda: bench.kernel.ioctl(devices, abi.DEVFSIO_RDEL, abi.devfs_rule_id(7, 100)),
        )
    finally:
        os.close(devices)
    assert rules(bench) == [(200, abi.DRB_UNHIDE, b"null")]
