"""The parameters of jails that 13.2 knows, and what a set of them asks for."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from dataclasses import dataclass, field

from freebsd_double.arguments import Pairs
from fruix.sandbox.freebsd import abi

_HOST_STRING = 256
_OSRELEASE = 32
_TEXTS = {
    "path": abi.MNAMELEN,
    "name": _HOST_STRING,
    "host.hostname": _HOST_STRING,
    "host.domainname": _HOST_STRING,
    "host.hostuuid": 64,
    "osrelease": _OSRELEASE,
}
_NUMBERS = (
    "jid",
    "securelevel",
    "enforce_statfs",
    "devfs_ruleset",
    "children.max",
    "osreldate",
    "host.hostid",
)
# 0: disabled, 1: new, 2: inherited; the first two can't be disabled.
_SYSTEMS = ("host", "vnet", "ip4", "ip6", "sysvmsg", "sysvsem", "sysvshm", "linux")
_NEVER_DISABLED = frozenset({"host", "vnet"})
_ADDRESSES = ("ip4.addr", "ip6.addr")
_ALLOWANCES = """
    set_hostname sysvipc raw_sockets chflags quotas socket_af mlock reserved_ports read_msgbuf
    unprivileged_proc_debug suser mount mount.devfs mount.nullfs mount.tmpfs mount.fdescfs
    mount.procfs mount.zfs vmm
"""
_FLAGS = ("persist", *(f"allow.{name}" for name in _ALLOWANCES.split()))
# Variables of these parameters' names are nodes, which have no value of their own.
NODES = frozenset(_SYSTEMS) - {"vnet"}
ALL = frozenset({*_TEXTS, *_NUMBERS, *_SYSTEMS, *_ADDRESSES, *_FLAGS})


def _negated(name: str) -> str:
    path, dot, last = name.rpartition(".")
    return f"{path}{dot}no{last}"


_NEGATED = {_negated(name): name for name in _FLAGS}
_RANGES = {"enforce_statfs": range(3), "devfs_ruleset": range(0x10000), "children.max": range(1_000_000)}


@dataclass(slots=True)
class Wanted:
    """What jail_set was asked for."""

    name: str | None
    path: str | None
    hostname: str
    domainname: str
    persist: bool | None
    numbers: dict[str, int] = field(default_factory=dict)

    @property
    def shares_network(self) -> bool:
        """Whether it is the host's network."""
        return self.numbers.get("vnet") != abi.NEW and abi.INHERIT in {
            self.numbers.get("ip4"),
            self.numbers.get("ip6"),
        }


def known(vimage: bool) -> frozenset[str]:
    """The parameters that a kernel with or without network stacks for jails has."""
    return ALL if vimage else ALL - {"vnet"}


def check_names(pairs: Pairs, more: Iterable[str] = (), *, vimage: bool = True) -> None:
    """Refuse parameters that the kernel doesn't know, with its message."""
    for name in pairs.values:
        if name not in known(vimage) and name not in _NEGATED and name not in more:
            pairs.fail(errno.EINVAL, f"unknown parameter: {name}")


def read(pairs: Pairs, *, vimage: bool = True) -> Wanted:
    """Check all of them, in the kernel's way."""
    check_names(pairs, vimage=vimage)
    texts = {name: pairs.text(name, size=size) for name, size in _TEXTS.items()}
    numbers = {name: number for name in (*_NUMBERS, *_SYSTEMS) if (number := pairs.integer(name)) is not None}
    for name, number in numbers.items():
        if number not in _RANGES.get(name, range(-(1 << 31), 1 << 31)) or (
            name in _SYSTEMS and number not in range(name in _NEVER_DISABLED, 3)
        ):
            pairs.fail(errno.EINVAL)
    if numbers.get("vnet") == abi.NEW and ({"ip4", "ip6", *_ADDRESSES} & pairs.values.keys()):
        pairs.fail(errno.EINVAL, "vnet jails cannot have IP address restrictions")
    if numbers.get("osreldate") == 0:
        pairs.fail(errno.EINVAL, "osreldate cannot be 0")
    if (own := texts["name"]) and own.isdecimal():
        pairs.fail(errno.EINVAL, f'name cannot be numeric (unless it is the jid): "{own}"')
    flags = {name: 1 for name in _FLAGS if name in pairs.values}
    flags |= {name: 0 for negated, name in _NEGATED.items() if negated in pairs.values}
    persist = flags.pop("persist", None)
    return Wanted(
        name=own,
        path=texts["path"],
        hostname=texts["host.hostname"] or "",
        domainname=texts["host.domainname"] or "",
        persist=None if persist is None else bool(persist),
        numbers={**numbers, **flags},
    )
