"""The double answers as a real 13.2 kernel answered (docs/freebsd.md): results, errors, messages, and effects that can be seen."""

from __future__ import annotations

import errno
import os
import signal
import socket
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from fruix.sandbox.freebsd import abi
from fruix.sandbox.freebsd.abi import Pair, buffer, flag, integer, text
from fruix.sandbox.freebsd.kernel import KernelError
from fruix.sandbox.linux import libc
from fruix.testing.freebsd.double import Double
from fruix.testing.freebsd.mounts import PanicError
from fruix.testing.freebsd.parameters import ALL
from fruix.testing.freebsd.state import Machine
from machine import own_mounts

CREATE, ATTACH, UPDATE = abi.JAIL_CREATE, abi.JAIL_ATTACH, abi.JAIL_UPDATE


class Bench:
    def __init__(self, scratch: Path, machine: Machine | None = None) -> None:
        self.scratch = scratch
        (scratch / "kernel").mkdir()
        self.kernel = Double(str(scratch / "kernel"), machine)
        self.root = self.directory("root")

    def directory(self, name: str) -> str:
        path = self.scratch / name
        path.mkdir(parents=True, exist_ok=True)
        return str(path)

    def mount(self, fstype: str, target: str, source: str = "", *more: Pair, flags: int = 0) -> None:
        pairs = [text("fstype", fstype.encode()), text("fspath", target.encode())]
        if source:
            pairs.append(text("from", source.encode()))
        self.kernel.nmount([*pairs, *more, buffer("errmsg", 255)], flags)

    def jail(self, *more: Pair, name: str = "frx-a", flags: int = CREATE) -> int:
        pairs = [text("path", self.root.encode()), text("name", name.encode()), *more]
        return self.kernel.jail_set([*pairs, buffer("errmsg", 256)], flags)

    def find(self, *pairs: Pair, flags: int = 0) -> int:
        return self.kernel.jail_get([*pairs, buffer("errmsg", 256)], flags)

    def mounted(self) -> list[tuple[str, str]]:
        return [
            (row.fstype.decode(), row.target.decode())
            for row in self.kernel.getfsstat()
            if row.target != b"/"
        ]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    own_mounts()
    here = Bench(tmp_path)
    yield here
    for row in reversed(here.kernel.getfsstat()):
        if row.target != b"/":
            here.kernel.unmount(row.target, abi.MNT_FORCE)
    for name in os.listdir(f"{tmp_path}/kernel/spaces"):
        libc.umount(f"{tmp_path}/kernel/spaces/{name}".encode(), libc.MNT_DETACH)


def fails(number: int, message: str, call: Callable[[], object]) -> None:
    with pytest.raises(KernelError) as caught:
        call()
    assert (errno.errorcode[caught.value.errno or 0], caught.value.errmsg) == (
        errno.errorcode[number],
        message,
    )


def in_child(action: Callable[[], object]) -> str:
    """What `action` returns, or its error, in a process of its own."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        try:
            os.write(writing, str(action()).encode())
        except BaseException as error:  # noqa: BLE001
            os.write(writing, f"{type(error).__name__} {error}".encode())
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, encoding="utf-8") as file:
        answer = file.read()
    os.waitpid(pid, 0)
    return answer


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
    fails(errno.EDEADLK, "", lambda: bench.mount("nullfs", source, source))
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


# Jails


@pytest.mark.parametrize(
    ("more", "number", "message"),
    [
        ((), errno.EINVAL, "new jail must persist or attach"),
        ((flag("foo.bar"),), errno.EINVAL, "unknown parameter: foo.bar"),
        ((flag("persist"), (b"vnet\0", b"\1")), errno.EINVAL, ""),
        ((flag("persist"), integer("vnet", 0)), errno.EINVAL, ""),
        (
            (flag("persist"), integer("vnet", 1), integer("ip4", 0)),
            errno.EINVAL,
            "vnet jails cannot have IP address restrictions",
        ),
        ((flag("persist"), integer("osreldate", 0)), errno.EINVAL, "osreldate cannot be 0"),
        ((flag("persist"), text("osrelease", b"x" * 32)), errno.ENAMETOOLONG, ""),
        ((flag("persist"), integer("enforce_statfs", 3)), errno.EINVAL, ""),
        ((flag("persist"), (b"host.hostname\0", b"no-nul")), errno.EINVAL, ""),
    ],
)
def test_making_a_jail_refuses(bench: Bench, more: Sequence[Pair], number: int, message: str) -> None:
    fails(number, message, lambda: bench.jail(*more))
    fails(errno.ENOENT, "", lambda: bench.find(integer("lastjid", 0)))


def test_a_persistent_jail(bench: Bench) -> None:
    jid = bench.jail(flag("persist"), text("host.hostname", b"localhost"))
    assert bench.find(text("name", b"frx-a")) == jid
    fails(errno.EEXIST, 'jail "frx-a" already exists', lambda: bench.jail(flag("persist")))
    name, path = buffer("name", 256), buffer("path", 1024)
    assert bench.find(integer("lastjid", 0), name, path) == jid
    assert abi.string_in(name[1]) == b"frx-a"
    assert abi.string_in(path[1]).decode() == bench.root
    fails(errno.ENOENT, "", lambda: bench.find(integer("lastjid", jid)))
    fails(errno.ENOENT, 'jail "frx-b" not found', lambda: bench.find(text("name", b"frx-b")))
    fails(errno.ENOENT, "jail 999 not found", lambda: bench.find(integer("jid", 999)))
    fails(errno.EINVAL, "path cannot be changed after creation", lambda: bench.jail(flags=UPDATE))
    bench.kernel.jail_remove(jid)
    fails(errno.ENOENT, 'jail "frx-a" not found', lambda: bench.find(text("name", b"frx-a")))
    fails(errno.EINVAL, "", lambda: bench.kernel.jail_remove(jid))


def test_a_missing_root(bench: Bench) -> None:
    os.rmdir(bench.root)
    fails(errno.ENOENT, "", lambda: bench.jail(flag("persist")))


def test_an_open_directory_forbids_entering(bench: Bench) -> None:
    def enter() -> str:
        directory = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
        try:
            bench.jail(flags=CREATE | ATTACH)
        except KernelError as error:
            return f"{errno.errorcode[error.errno or 0]} {error.errmsg}"
        os.close(directory)
        return "entered"

    assert in_child(enter) == "EPERM attach failed"
    fails(errno.ENOENT, 'jail "frx-a" not found', lambda: bench.find(text("name", b"frx-a")))


def test_inside(bench: Bench) -> None:
    Path(bench.root, "inside").touch()

    def look() -> list[object]:
        parameters = (text("host.hostname", b"localhost"), integer("vnet", 1), integer("sysvsem", 1))
        bench.kernel.closefrom(20)
        bench.jail(*parameters, flags=CREATE | ATTACH)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            bench.kernel.ioctl(control.fileno(), abi.SIOCAIFADDR, abi.loopback_address())
            flags = abi.interface_flags(0)
            bench.kernel.ioctl(control.fileno(), abi.SIOCGIFFLAGS, flags)
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
        return [os.uname().nodename, os.getcwd(), os.listdir("/"), hex(abi.interface_flags_in(flags))]

    assert in_child(look) == str(["localhost", "/", ["inside"], "0x8049"])
    fails(
        errno.ENOENT, 'jail "frx-a" not found', lambda: bench.find(text("name", b"frx-a"))
    )  # gone with its process


@pytest.mark.parametrize(
    ("attempt", "expected"),
    [
        (
            lambda kernel: kernel.jail_set([text("name", b"x"), text("path", b"/"), flag("persist")], CREATE),
            "EPERM",
        ),
        (lambda kernel: kernel.nmount([text("fstype", b"tmpfs"), text("fspath", b"/")], 0), "EPERM"),
        (lambda kernel: kernel.unmount(b"/", 0), "EPERM"),
        (lambda kernel: kernel.jail_remove(1), "EPERM"),
        (lambda kernel: kernel.jail_attach(1), "EPERM"),
        (lambda kernel: kernel.sysctl(b"kern.nothing"), "ENOENT"),
    ],
)
def test_root_in_a_jail_can_not(bench: Bench, attempt: Callable[[Double], object], expected: str) -> None:
    def enter() -> str:
        bench.kernel.closefrom(20)
        bench.jail(flags=CREATE | ATTACH)
        try:
            attempt(bench.kernel)
        except KernelError as error:
            return errno.errorcode[error.errno or 0]
        return "ok"

    assert in_child(enter) == expected


def test_removing_kills_everything_in_it(bench: Bench) -> None:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(writing, 9)
        bench.kernel.closefrom(10)
        bench.jail(flags=CREATE | ATTACH)
        for _ in range(3):
            if os.fork() == 0:
                os.setsid()
                break
        os.write(9, b"x")
        signal.pause()
    os.close(writing)
    for _ in range(4):
        assert os.read(reading, 1) == b"x"
    jid = bench.find(text("name", b"frx-a"))
    bench.kernel.jail_remove(jid)
    assert os.waitpid(pid, 0)[1] == signal.SIGKILL
    assert os.read(reading, 1) == b""  # the others held it too
    os.close(reading)
    fails(
        errno.ENOENT,
        'jail "frx-a" not found',
        lambda: bench.find(text("name", b"frx-a"), flags=abi.JAIL_DYING),
    )


def test_joining_a_persistent_jail(bench: Bench) -> None:
    Path(bench.root, "inside").touch()
    jid = bench.jail(flag("persist"), text("host.hostname", b"localhost"), integer("vnet", 1))

    def join() -> list[object]:
        bench.kernel.closefrom(20)
        bench.kernel.jail_attach(jid)
        return [os.uname().nodename, os.listdir("/")]

    assert in_child(join) == str(["localhost", ["inside"]])
    assert bench.find(text("name", b"frx-a")) == jid
    fails(errno.EINVAL, "", lambda: bench.kernel.jail_attach(jid + 1))


# Processes, variables, limits


def test_orphans_fall_to_the_reaper(bench: Bench) -> None:
    def reap() -> str:
        bench.kernel.procctl(0, abi.PROC_REAP_ACQUIRE, None)
        with pytest.raises(KernelError) as caught:
            bench.kernel.procctl(0, abi.PROC_REAP_ACQUIRE, None)
        if os.fork() == 0:
            if os.fork() == 0:
                signal.pause()
            os._exit(0)
        os.wait()
        bench.kernel.procctl(os.getpid(), abi.PROC_REAP_KILL, abi.reaper_kill(signal.SIGKILL))
        status = os.wait()[1]
        with pytest.raises(KernelError) as none_left:
            bench.kernel.procctl(0, abi.PROC_REAP_KILL, abi.reaper_kill(signal.SIGKILL))
        numbers = [errno.errorcode[error.value.errno or 0] for error in (caught, none_left)]
        return f"{numbers} {status}"

    assert in_child(reap) == "['EBUSY', 'ESRCH'] 9"


def test_processes_by_user(bench: Bench) -> None:
    pid = os.fork()
    if pid == 0:
        os.setresuid(35020, 35020, 35020)
        signal.pause()
    while bench.kernel.processes_of(35020) != [pid]:
        pass
    os.kill(pid, signal.SIGKILL)
    while bench.kernel.processes_of(35020):
        pass
    os.waitpid(pid, 0)


def test_variables(bench: Bench, tmp_path: Path) -> None:
    kernel = bench.kernel
    assert abi.integer_in(kernel.sysctl(b"kern.osreldate")) == 1302001
    assert kernel.sysctl(b"kern.osrelease") == b"13.2-RELEASE\0"
    assert abi.integer_in(kernel.sysctl(b"kern.features.vimage")) == 1
    assert kernel.sysctl(b"kern.racct.enable") == b"\0"
    assert kernel.sysctl(b"security.jail.param.allow.unprivileged_proc_debug") == b""
    for name in (b"security.jail.param.allow.nounprivileged_proc_debug", b"security.jail.param.desc"):
        with pytest.raises(KernelError, match="No such file"):
            kernel.sysctl(name)
    assert "vnet" in ALL
    (tmp_path / "other").mkdir()
    without = Double(str(tmp_path / "other"), Machine(vimage=False, racct=True))
    with pytest.raises(KernelError):
        without.sysctl(b"kern.features.vimage")
    assert Double(str(tmp_path / "other")).state.machine == Machine(vimage=False, racct=True)


def test_limits(bench: Bench, tmp_path: Path) -> None:
    fails(errno.ENOSYS, "", lambda: bench.kernel.rctl_add_rule(b"jail:frx-a:maxproc:deny=10"))
    (tmp_path / "other").mkdir()
    kernel = Double(str(tmp_path / "other"), Machine(racct=True))
    kernel.rctl_add_rule(b"jail:frx-a:maxproc:deny=10")
    fails(errno.EINVAL, "", lambda: kernel.rctl_add_rule(b"jail:frx-a:memoryuse:deny=4g"))
    kernel.rctl_remove_rule(b"jail:frx-a")
    fails(errno.ESRCH, "", lambda: kernel.rctl_remove_rule(b"jail:frx-a"))
