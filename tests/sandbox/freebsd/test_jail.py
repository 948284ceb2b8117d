"""The parameters of a build's jail, as kernels of several releases get them.

Also finding and removing jails.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import pytest

from fake_kernel import Fake, variables
from fruix.sandbox import Exec, Identity, SandboxSpec
from fruix.sandbox.back_ends import BackEnd
from fruix.sandbox.freebsd import jail
from fruix.sandbox.freebsd.abi import Pair
from fruix.sandbox.freebsd.back_end import FreeBSDBackEnd
from fruix.sandbox.freebsd.kernel import Kernel
from fruix.sandbox.freebsd.libc import Libc
from fruix.sandbox.freebsd.release import Release

ONE, TWO, NO = b"\x01\0\0\0", b"\x02\0\0\0", b"\0\0\0\0"
ROOT = "/frx/var/fruix/builds/frx-a/root"
COMMON: list[Pair] = [
    (b"path\0", b"/frx/var/fruix/builds/frx-a/root\0"),
    (b"name\0", b"frx-a\0"),
    (b"host.hostname\0", b"localhost\0"),
    (b"host.domainname\0", b"\0"),
    (b"enforce_statfs\0", TWO),
    (b"devfs_ruleset\0", b"\xb9\x88\0\0"),
]
SYSTEM_V: list[Pair] = [(b"sysvmsg\0", ONE), (b"sysvsem\0", ONE), (b"sysvshm\0", ONE)]
TAKEN: list[Pair] = [(b"allow.noset_hostname\0", None), (b"allow.noreserved_ports\0", None)]
NO_DEBUG: list[Pair] = [(b"allow.nounprivileged_proc_debug\0", None)]


def spec(**changes: Any) -> SandboxSpec:
    program = Exec("/bin/sh", ("sh",), {}, "/build")
    return SandboxSpec("frx-a", ROOT, Identity(35001, 35001, 35001, 35001), program, **changes)


@pytest.mark.parametrize(
    ("kernel", "network", "expected"),
    [
        (variables(1201000, lacking=["allow.unprivileged_proc_debug"]), "none",
         [*COMMON, (b"ip4\0", NO), (b"ip6\0", NO), *SYSTEM_V, *TAKEN]),
        (variables(1302001), "none", [*COMMON, (b"vnet\0", ONE), *SYSTEM_V, *TAKEN, *NO_DEBUG]),
        (variables(1302001, vimage=False), "none",
         [*COMMON, (b"ip4\0", NO), (b"ip6\0", NO), *SYSTEM_V, *TAKEN, *NO_DEBUG]),
        (variables(1403000), "host",
         [*COMMON, (b"ip4\0", TWO), (b"ip6\0", TWO), *SYSTEM_V, *TAKEN, *NO_DEBUG]),
        (variables(1501000, lacking=["ip6"]), "host",
         [*COMMON, (b"ip4\0", TWO), *SYSTEM_V, *TAKEN, *NO_DEBUG]),
    ],
)  # fmt: skip
def test_parameters(kernel: dict[bytes, bytes], network: str, expected: list[Pair]) -> None:
    assert jail.parameters(Fake(kernel), spec(network=network), ROOT, None) == expected


def test_a_pinned_release() -> None:
    pairs = jail.parameters(Fake(), spec(), ROOT, Release("13.2-RELEASE", 1302001))
    assert (b"osrelease\0", b"13.2-RELEASE\0") in pairs
    assert (b"osreldate\0", b"\xf1\xdd\x13\0") in pairs


def test_a_network_that_jails_can_not_give() -> None:
    elsewhere = Identity(35001, 35001, 1000, 100, user_namespace=True)
    with pytest.raises(OSError, match="network 'pasta' in a jail"):
        jail.parameters(Fake(), replace(spec(), network="pasta", identity=elsewhere), ROOT, None)


def test_entering_makes_and_attaches_at_once() -> None:
    kernel = Fake()
    assert jail.enter(kernel, [(b"name\0", b"frx-a\0")]) == 1
    ((_, pairs, flags),) = kernel.calls
    assert flags == 5
    assert pairs == [(b"name\0", b"frx-a\0"), (b"errmsg\0", bytes(256))]


def test_finding_and_removing() -> None:
    kernel = Fake(jails={"www": (1, "/jails/www"), "frx-a": (7, ROOT)})
    assert [(found.jid, found.name, found.path) for found in jail.running(kernel)] == [
        (1, "www", "/jails/www"),
        (7, "frx-a", ROOT),
    ]
    assert jail.find(kernel, "frx-a") == 7
    assert jail.remove(kernel, "frx-a")
    assert not jail.remove(kernel, "frx-a")
    assert ("jail_remove", 7) in kernel.calls
    assert list(kernel.jails) == ["www"]


def test_a_descriptor_that_owns_the_jail() -> None:
    jails = {"frx-a": (7, ROOT)}
    descriptor = jail.own(Fake(variables(1501000), jails=dict(jails)), "frx-a")
    assert descriptor is not None
    assert not os.get_inheritable(descriptor)
    os.close(descriptor)
    assert jail.own(Fake(variables(1403000), jails=dict(jails)), "frx-a") is None


def test_the_interfaces_are_kept() -> None:
    back_end: BackEnd = FreeBSDBackEnd(Fake())
    real: type[Kernel] = Libc
    assert isinstance(back_end, BackEnd)
    assert real is Libc
    limited = spec(memory_max=1 << 30)
    assert back_end.describe(limited) == {"moved": [], "vnet": True, "jailLimits": []}
    accounting = FreeBSDBackEnd(Fake(variables(1302001, vimage=False, racct=b"\1")))
    assert accounting.describe(limited) == {"moved": [], "vnet": False, "jailLimits": ["memoryuse"]}
