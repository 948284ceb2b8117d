"""A kernel that only keeps books: it checks and notes what it is asked for, and nothing happens.

For logic that needs no effects.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from fruix.sandbox.freebsd import abi
from fruix.sandbox.freebsd.abi import FileSystem, Pair
from fruix.sandbox.freebsd.kernel import KernelError

Rule = tuple[int, int, bytes]


def variables(
    osreldate: int, *, vimage: bool = True, racct: bytes = b"\0", lacking: Sequence[str] = ()
) -> dict[bytes, bytes]:
    """System variables as a kernel of that release has them."""
    names = (
        "vnet", "ip4", "ip6", "sysvmsg", "sysvsem", "sysvshm",
        "allow.set_hostname", "allow.reserved_ports", "allow.unprivileged_proc_debug",
    )  # fmt: skip
    found = {f"security.jail.param.{name}".encode(): b"\0" for name in names if name not in lacking}
    found[b"kern.osreldate"] = osreldate.to_bytes(4, "little")
    found[b"kern.racct.enable"] = racct
    if vimage:
        found[b"kern.features.vimage"] = b"\1\0\0\0"
    return found


@dataclass
class Fake:
    """`before` is called with each call's name and may raise."""

    variables: Mapping[bytes, bytes] = field(default_factory=lambda: variables(1302001))
    table: list[FileSystem] = field(default_factory=list)
    jails: dict[str, tuple[int, str]] = field(default_factory=dict)
    rules: list[Rule] = field(default_factory=list)
    users: dict[int, list[int]] = field(default_factory=dict)
    calls: list[tuple[object, ...]] = field(default_factory=list)
    before: Callable[[str, object], None] = lambda *_: None

    def nmount(self, options: Sequence[Pair], flags: int) -> None:
        values = {name: abi.string_in(value) for name, value in options}
        self.calls.append(("nmount", values[b"fstype\0"], values[b"from\0"], values[b"fspath\0"], flags))
        self.before("nmount", values[b"fspath\0"])
        number = len(self.calls)
        self.table.append(
            FileSystem(values[b"fstype\0"], values[b"from\0"], values[b"fspath\0"], flags, (number, 41))
        )

    def unmount(self, path: bytes, flags: int) -> None:
        self.calls.append(("unmount", path, flags))
        self.before("unmount", path)
        by_number = flags & abi.MNT_BYFSID
        for mounted in reversed(self.table):
            if path == (b"FSID:%d:%d" % mounted.fsid if by_number else mounted.target):
                self.table.remove(mounted)
                return
        raise KernelError("unmount", errno.EINVAL)

    def getfsstat(self) -> list[FileSystem]:
        return list(self.table)

    def jail_set(self, parameters: Sequence[Pair], flags: int) -> int:
        self.calls.append(("jail_set", list(parameters), flags))
        return 1

    def jail_get(self, parameters: Sequence[Pair], flags: int) -> int:
        wanted = dict(parameters)
        if flags & abi.JAIL_OWN_DESC:
            descriptor = wanted[b"desc\0"]
            assert isinstance(descriptor, bytearray)
            assert bytes(descriptor) == b"\xff\xff\xff\xff"
            descriptor[:] = os.dup(0).to_bytes(4, "little")
        last = wanted.get(b"lastjid\0")
        for name, (jid, path) in sorted(self.jails.items(), key=lambda item: item[1]):
            if last is None and name.encode() == abi.string_in(wanted[b"name\0"]):
                return jid
            if last is not None and jid > abi.integer_in(last):
                for key, text in ((b"name\0", name), (b"path\0", path)):
                    buffer = wanted[key]
                    assert isinstance(buffer, bytearray)
                    buffer[: len(text)] = text.encode()
                return jid
        raise KernelError("jail_get", errno.ENOENT)

    def jail_remove(self, jid: int) -> None:
        self.calls.append(("jail_remove", jid))
        self.jails = {name: jail for name, jail in self.jails.items() if jail[0] != jid}

    def procctl(self, pid: int, command: int, argument: bytearray | None) -> None:
        self.calls.append(("procctl", pid, command, argument))

    def ioctl(self, descriptor: int, request: int, argument: bytearray) -> None:  # noqa: ARG002
        self.calls.append(("ioctl", request, bytes(argument)))
        if request == abi.DEVFSIO_RGETNEXT:
            _, after, _, _ = abi.devfs_rule_in(argument)
            found = next((rule for rule in sorted(self.rules) if rule[0] > after), None)
            if found is None:
                raise KernelError("ioctl", errno.ENOENT)
            argument[:] = abi.devfs_rule(35001, *found)
        elif request == abi.DEVFSIO_RADD:
            _, _, action, pattern = abi.devfs_rule_in(argument)
            self.rules.append((100 * (len(self.rules) + 1), action, pattern))
        elif request == abi.DEVFSIO_RDEL:
            number = int.from_bytes(argument[:2], "little")
            self.rules = [rule for rule in self.rules if rule[0] != number]

    def sysctl(self, name: bytes) -> bytes:
        if name not in self.variables:
            raise KernelError("sysctlbyname", errno.ENOENT)
        return self.variables[name]

    def processes_of(self, uid: int) -> list[int]:
        return self.users.get(uid, [])

    def usage_beside(self, pid: int) -> tuple[int, int, int] | None:
        return next(((0, 0, len(pids)) for pids in self.users.values() if pid in pids), None)

    def rctl_add_rule(self, rule: bytes) -> None:
        self.calls.append(("rctl_add_rule", rule))

    def rctl_remove_rule(self, filter: bytes) -> None:  # noqa: A002
        self.calls.append(("rctl_remove_rule", filter))

    def setlogin(self, name: bytes) -> None:
        self.calls.append(("setlogin", name))

    def closefrom(self, lowest: int) -> None:
        self.calls.append(("closefrom", lowest))
