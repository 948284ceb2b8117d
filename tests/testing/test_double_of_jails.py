"""Jails, processes, variables and limits of the double, as a real 13.2 kernel has them (docs/freebsd.md)."""

from __future__ import annotations

import errno
import os
import signal
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from double_bench import ATTACH, CREATE, UPDATE, Bench, fails, in_child
from freebsd_double.double import Double
from freebsd_double.kernel_state import Machine
from freebsd_double.parameters import ALL
from fruix.sandbox.freebsd import abi
from fruix.sandbox.freebsd.abi import Pair, buffer, flag, integer, text
from fruix.sandbox.freebsd.jail import rename
from fruix.sandbox.freebsd.kernel import KernelError


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


def test_a_dot_in_a_name_means_a_jail_in_a_jail(bench: Bench) -> None:
    fails(errno.ENOENT, 'jail "frx" not found', lambda: bench.jail(flag("persist"), name="frx.a"))


def test_without_network_stacks_their_parameter_is_unknown(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Machine(vimage=False))
    fails(
        errno.EINVAL,
        "unknown parameter: vnet",
        lambda: bench.jail(flag("persist"), integer("vnet", abi.NEW)),
    )
    fails(errno.ENOENT, "", lambda: bench.kernel.sysctl(b"security.jail.param.vnet"))


def test_some_parameters_are_nodes_without_a_value(bench: Bench) -> None:
    for name in (b"sysvmsg", b"ip4"):
        fails(errno.EISDIR, "", lambda name=name: bench.kernel.sysctl(b"security.jail.param." + name))  # type: ignore[misc]
    assert bench.kernel.sysctl(b"security.jail.param.vnet") == b""


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


def test_a_jail_gets_another_name(bench: Bench) -> None:
    jid, other = bench.jail(flag("persist")), bench.jail(flag("persist"), name="frx-b")
    rename(bench.kernel, jid, "frx-c")
    assert bench.find(text("name", b"frx-c")) == jid
    fails(errno.ENOENT, 'jail "frx-a" not found', lambda: bench.find(text("name", b"frx-a")))
    fails(errno.EEXIST, 'jail "frx-b" already exists', lambda: rename(bench.kernel, jid, "frx-b"))
    for number in (jid, other):
        bench.kernel.jail_remove(number)


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
        bench.kernel.closefrom(
            1 << 16
        )  # the call is allowed; the pipe to the parent may have any number below
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
        (lambda kernel: kernel.sysctl(b"kern.nothing"), "ENOENT"),
    ],
)
def test_root_in_a_jail_can_not(bench: Bench, attempt: Callable[[Double], object], expected: str) -> None:
    def enter() -> str:
        bench.kernel.closefrom(
            1 << 16
        )  # the call is allowed; the pipe to the parent may have any number below
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
