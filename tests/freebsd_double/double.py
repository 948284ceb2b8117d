"""`Double`: the calls of `sandbox.freebsd.kernel.Kernel`, made of Linux's."""

from __future__ import annotations

import errno
import os
import re
import socket
import struct
from collections.abc import Sequence

from freebsd_double import devices, jails, mounts, parameters, processes
from freebsd_double.arguments import Pairs
from freebsd_double.kernel_state import Machine, State
from fruix.overriding import override
from fruix.sandbox.freebsd import abi
from fruix.sandbox.freebsd.abi import FileSystem, Pair
from fruix.sandbox.freebsd.kernel import Kernel, KernelError
from fruix.sandbox.linux import libc, network

_DEVFS_REQUESTS = frozenset({abi.DEVFSIO_RADD, abi.DEVFSIO_RDEL, abi.DEVFSIO_RGETNEXT})
_LOOPBACK_FLAGS = 0x8048  # without IFF_UP
_RULE = re.compile(r"[a-z]+:[^:]+:[a-z]+:[a-z0-9]+=[0-9]+(/[a-z]+)?")


class Double(Kernel):
    """One machine's kernel; all processes that use the same directory share it.

    Args:
        directory: holds its tables, outside of every build.
        machine: what it can do; by default as the directory was made.
    """

    def __init__(self, directory: str, machine: Machine | None = None) -> None:
        self.state = State(directory, machine)
        self._vnet: bool | None = None  # of the jail that this process is in; None: it is in none
        self._variables = self._sysctls(self.state.machine)

    @override
    def nmount(self, options: Sequence[Pair], flags: int) -> None:
        pairs = Pairs("nmount", options, least=2)
        self._privileged("nmount")
        with self.state.tables() as tables:
            mounts.nmount(tables, pairs, flags)

    @override
    def unmount(self, path: bytes, flags: int) -> None:
        self._privileged("unmount")
        with self.state.tables() as tables:
            mounts.unmount(tables, path, flags)

    @override
    def getfsstat(self) -> list[FileSystem]:
        with self.state.tables() as tables:
            return mounts.table(tables)

    @override
    def jail_set(self, parameters: Sequence[Pair], flags: int) -> int:
        pairs = Pairs("jail_set", parameters)
        if os.geteuid() != 0:
            pairs.fail(errno.EPERM)
        if self._vnet is not None:
            pairs.fail(errno.EPERM, "prison limit exceeded")
        with self.state.tables() as tables:
            jail = jails.jail_set(self.state, tables, pairs, flags)
        if flags & abi.JAIL_ATTACH:
            jails.move_in(jail.path)
            self._vnet = jail.parameters.get("vnet") == abi.NEW
        return jail.jid

    @override
    def jail_get(self, parameters: Sequence[Pair], flags: int) -> int:
        with self.state.tables() as tables:
            return jails.jail_get(tables, Pairs("jail_get", parameters), flags)

    @override
    def jail_remove(self, jid: int) -> None:
        self._privileged("jail_remove")
        with self.state.tables() as tables:
            space = jails.jail_remove(self.state, tables, jid)
        processes.kill_space(space)

    @override
    def procctl(self, pid: int, command: int, argument: bytearray | None) -> None:
        processes.procctl(pid, command, argument)

    @override
    def ioctl(self, descriptor: int, request: int, argument: bytearray) -> None:
        """Rules of /dev, addresses and flags of lo0."""
        if request in _DEVFS_REQUESTS:
            if not devices.is_devfs(descriptor):
                raise KernelError("ioctl", errno.ENOTTY)
            self._privileged("ioctl")
            with self.state.tables() as tables:
                devices.ioctl(tables, request, argument)
        elif request in {abi.SIOCAIFADDR, abi.SIOCGIFFLAGS, abi.SIOCSIFFLAGS}:
            self._interface(request, argument)
        else:
            raise KernelError("ioctl", errno.ENOTTY)

    @override
    def sysctl(self, name: bytes) -> bytes:
        if name not in self._variables:
            raise KernelError("sysctlbyname", errno.ENOENT, what=name.decode())
        if name.removeprefix(b"security.jail.param.").decode() in parameters.NODES:
            raise KernelError("sysctlbyname", errno.EISDIR, what=name.decode())
        return self._variables[name]

    @override
    def processes_of(self, uid: int) -> list[int]:
        return processes.of_user(uid)

    @override
    def usage_beside(self, pid: int) -> tuple[int, int, int] | None:
        return processes.usage_beside(pid)

    @override
    def rctl_add_rule(self, rule: bytes) -> None:
        self._accounting("rctl_add_rule")
        text = rule.rstrip(b"\0").decode()
        if not _RULE.fullmatch(text):
            raise KernelError("rctl_add_rule", errno.EINVAL, what=text)
        with self.state.tables() as tables:
            tables.limits.append(text)

    @override
    def rctl_remove_rule(self, filter: bytes) -> None:
        self._accounting("rctl_remove_rule")
        prefix = filter.rstrip(b"\0").decode().rstrip(":") + ":"
        with self.state.tables() as tables:
            left = [rule for rule in tables.limits if not rule.startswith(prefix)]
            if len(left) == len(tables.limits):
                raise KernelError("rctl_remove_rule", errno.ESRCH)
            tables.limits = left

    @override
    def setlogin(self, name: bytes) -> None:
        if os.geteuid() != 0:
            raise KernelError("setlogin", errno.EPERM)

    @override
    def closefrom(self, lowest: int) -> None:
        libc.close_from(lowest)

    def _privileged(self, call: str) -> None:
        if os.geteuid() != 0 or self._vnet is not None:
            raise KernelError(call, errno.EPERM)

    def _accounting(self, call: str) -> None:
        if not self.state.machine.racct:
            raise KernelError(call, errno.ENOSYS)

    def _interface(self, request: int, argument: bytearray) -> None:
        if argument[:16].rstrip(b"\0") != b"lo0":
            raise KernelError("ioctl", errno.ENXIO)
        if request == abi.SIOCGIFFLAGS:
            flags = _LOOPBACK_FLAGS | (abi.IFF_UP if _loopback_is_up() else 0)
            struct.pack_into("=H", argument, 16, flags)
        elif os.geteuid() != 0 or not self._vnet:
            raise KernelError("ioctl", errno.EPERM)
        else:
            network.loopback_up()

    @staticmethod
    def _sysctls(machine: Machine) -> dict[bytes, bytes]:
        found = {
            b"kern.ostype": b"FreeBSD\0",
            b"kern.osrelease": machine.release.encode() + b"\0",
            b"hw.machine": b"amd64\0" if os.uname().machine == "x86_64" else b"arm64\0",
            b"kern.osreldate": struct.pack("=i", machine.osreldate),
            b"kern.racct.enable": bytes([machine.racct]),  # one byte, not four
            **{b"security.jail.param." + name.encode(): b"" for name in parameters.known(machine.vimage)},
        }
        return found | ({b"kern.features.vimage": struct.pack("=i", 1)} if machine.vimage else {})


def _loopback_is_up() -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind(("127.0.0.1", 0))
        except OSError:
            return False
    return True
