"""Jails: what a build's jail is made with, and finding and removing one by its name.

A build's jail isn't persistent: it is made by the process that enters it and is gone with its last process.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterator

from fruix.dataclass import dataclass
from fruix.sandbox.freebsd import abi
from fruix.sandbox.freebsd.abi import Pair, buffer, flag, integer, string_in, text
from fruix.sandbox.freebsd.devices import ruleset_of
from fruix.sandbox.freebsd.kernel import Kernel, KernelError
from fruix.sandbox.freebsd.release import Release
from fruix.sandbox.spec import SandboxSpec

_HIDDEN_MOUNTS = 2  # enforce_statfs: only the root's mount is listed
_UNSET_DOMAIN = "(none)"  # Linux's text for a domain name that nobody set; here that is an empty one
# Permissions that jails have unless they are taken; asked for by their positive names, as older
# kernels lack some.
_TAKEN = ("allow.set_hostname", "allow.reserved_ports", "allow.unprivileged_proc_debug")
_GONE = frozenset({errno.ENOENT, errno.EINVAL})
# How a network is given: with a stack of its own, and without (network of the specification →
# parameter → value).
_NETWORKS_OF_ITS_OWN = {"none": {"vnet": abi.NEW}, "host": {"ip4": abi.INHERIT, "ip6": abi.INHERIT}}
_NETWORKS_SHARED = {
    "none": {"ip4": abi.DISABLE, "ip6": abi.DISABLE},
    "host": {"ip4": abi.INHERIT, "ip6": abi.INHERIT},
}


@dataclass(frozen=True, slots=True)
class Jail:
    """A jail that isn't dying: its number, its name, and its root as the host names it."""

    jid: int
    name: str
    path: str


def has_vnet(kernel: Kernel) -> bool:
    """Whether jails can have a network stack of their own that can also be taken down safely."""
    if not abi.has("vnet", abi.integer_in(kernel.sysctl(b"kern.osreldate"))):
        return False
    try:
        return any(kernel.sysctl(b"kern.features.vimage"))
    except KernelError:
        return False


def supports(kernel: Kernel, parameter: str) -> bool:
    """Whether this kernel's jails have a parameter; unknown ones may never be passed."""
    try:
        kernel.sysctl(f"security.jail.param.{parameter}".encode())
    except KernelError as error:
        return error.errno != errno.ENOENT
    return True


def parameters(kernel: Kernel, spec: SandboxSpec, root: str, release: Release | None) -> list[Pair]:
    """Everything that jail_set gets for a build's jail, without `errmsg`.

    Raises:
        OSError: EOPNOTSUPP, the specification asks for a network that jails can't give.
    """
    networks = _NETWORKS_OF_ITS_OWN if has_vnet(kernel) else _NETWORKS_SHARED
    if spec.network not in networks:
        raise OSError(
            errno.EOPNOTSUPP, f"{os.strerror(errno.EOPNOTSUPP)}: network '{spec.network}' in a jail"
        )
    domain = "" if spec.domainname == _UNSET_DOMAIN else spec.domainname
    numbers = {**networks[spec.network], **dict.fromkeys(("sysvmsg", "sysvsem", "sysvshm"), abi.NEW)}
    return [
        text("path", os.fsencode(root)),
        text("name", spec.id.encode()),
        text("host.hostname", spec.hostname.encode()),
        text("host.domainname", domain.encode()),
        integer("enforce_statfs", _HIDDEN_MOUNTS),
        integer("devfs_ruleset", ruleset_of(spec.id)),
        *(integer(name, value) for name, value in numbers.items() if supports(kernel, name)),
        *(_release(release) if release else ()),
        *(flag(_negated(name)) for name in _TAKEN if supports(kernel, name)),
    ]


def _release(release: Release) -> tuple[Pair, ...]:
    return text("osrelease", release.name.encode()), integer("osreldate", release.date)


def _negated(name: str) -> str:
    """`allow.x` → `allow.nox`: the last component gets the `no`."""
    path, _, last = name.rpartition(".")
    return f"{path}.no{last}"


def enter(kernel: Kernel, pairs: list[Pair]) -> int:
    """Make a jail and move into it."""
    return kernel.jail_set(
        [*pairs, buffer("errmsg", abi.JAIL_ERRMSG_SIZE)], abi.JAIL_CREATE | abi.JAIL_ATTACH
    )


def rename(kernel: Kernel, jid: int, name: str) -> None:
    """Give a jail another name."""
    pairs = [integer("jid", jid), text("name", name.encode()), buffer("errmsg", abi.JAIL_ERRMSG_SIZE)]
    kernel.jail_set(pairs, abi.JAIL_UPDATE)


def own(kernel: Kernel, name: str) -> int | None:
    """A descriptor with whose last copy the kernel removes the jail, however its holder ends.

    None where the kernel has none (before 15).

    Its holder may do with the jail what root may: it must never get into one.
    """
    if not abi.has("jail descriptors", abi.integer_in(kernel.sysctl(b"kern.osreldate"))):
        return None
    descriptor = buffer("desc", 4, struct.pack("=i", -1))
    try:
        kernel.jail_get([text("name", name.encode()), descriptor], abi.JAIL_OWN_DESC)
    except KernelError:  # it has ended already, or the kernel is younger than its number says
        return None
    number = abi.integer_in(descriptor[1])
    os.set_inheritable(number, False)
    return number


def find(kernel: Kernel, name: str) -> int | None:
    """The number of the jail of that name that isn't dying."""
    try:
        return kernel.jail_get([text("name", name.encode()), buffer("errmsg", abi.JAIL_ERRMSG_SIZE)], 0)
    except KernelError as error:
        if error.errno == errno.ENOENT:
            return None
        raise


def remove(kernel: Kernel, name: str) -> bool:
    """Kill everything in a jail; False if there is none. Its processes may take a moment to die."""
    jid = find(kernel, name)
    if jid is None:
        return False
    try:
        kernel.jail_remove(jid)
    except KernelError as error:
        if error.errno not in _GONE:
            raise
    return True


def running(kernel: Kernel) -> Iterator[Jail]:
    """List all jails of the system, one call each."""
    jid = 0
    while True:
        name, path = buffer("name", abi.JAIL_NAME_SIZE), buffer("path", abi.MNAMELEN)
        try:
            jid = kernel.jail_get([integer("lastjid", jid), name, path], 0)
        except KernelError as error:
            if error.errno == errno.ENOENT:
                return
            raise
        yield Jail(jid, string_in(name[1]).decode(), string_in(path[1]).decode(errors="surrogateescape"))
