"""What the doctor tries on FreeBSD: a table of what builds need, and of what makes them better.

Mounts and jails are tried on a scratch directory and undone at once. A nullfs mount of a single
file is never tried: on 13 it panics the kernel.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from fruix.model.systems import common_name
from fruix.sandbox.capabilities import Probe
from fruix.sandbox.freebsd import abi, devices, jail, mounts, rctl, reaper
from fruix.sandbox.freebsd.abi import Pair
from fruix.sandbox.freebsd.kernel import Kernel, KernelError

OLDEST = 12


def _release(kernel: Kernel) -> int:
    return abi.integer_in(kernel.sysctl(b"kern.osreldate"))


def _version(kernel: Kernel) -> str:
    date = _release(kernel)
    name = abi.string_in(kernel.sysctl(b"kern.osrelease")).decode()
    if abi.major(date) < OLDEST:
        raise OSError(f"FreeBSD {name} is too old")
    machine = abi.string_in(kernel.sysctl(b"hw.machine")).decode()
    return f"FreeBSD {name} ({date}) on {common_name(machine)}"


def _root(_kernel: Kernel) -> str:
    if os.geteuid() != 0:
        raise OSError(f"running as user {os.geteuid()}")
    return "running as root"


def _jail(kernel: Kernel) -> str:
    """A persistent one, found and removed."""
    name = f"frx-doctor-{os.getpid()}"
    with _directories() as (root, _):
        pairs = [abi.text("path", root.encode()), abi.text("name", name.encode()), abi.flag("persist")]
        jid = kernel.jail_set([*pairs, abi.buffer("errmsg", abi.JAIL_ERRMSG_SIZE)], abi.JAIL_CREATE)
        found = jail.find(kernel, name)
        jail.remove(kernel, name)
    if found != jid:
        raise OSError(f"jail {jid} was made, {found} was found")
    return "made, found and removed"


def _vimage(kernel: Kernel) -> str:
    if not jail.has_vnet(kernel):
        raise OSError("jails have no network stack of their own here")
    return "each build has a network stack of its own"


def _nullfs(kernel: Kernel) -> str:
    with _directories() as (target, source):
        with open(f"{source}/file", "w", encoding="ascii"):
            pass
        with _mounted(kernel, mounts.nullfs(source, target), abi.MNT_RDONLY | abi.MNT_NOSUID, target):
            if os.listdir(target) != ["file"]:
                raise OSError("the directory is not shown")
            try:
                os.unlink(f"{target}/file")
            except OSError as error:
                if error.errno == errno.EROFS:
                    return "read-only, nosuid"
                raise
    raise OSError("a read-only mount could be written to")


def _tmpfs(kernel: Kernel) -> str:
    with (
        _directories() as (target, _),
        _mounted(kernel, mounts.tmpfs(target, 1 << 20, 0o1777), abi.MNT_NOSUID, target),
    ):
        if os.stat(target).st_mode & 0o7777 != 0o1777:
            raise OSError("the mode is not what was asked for")
    return "of a size, with a mode"


def _devfs(kernel: Kernel) -> str:
    devices.ensure_ruleset(kernel)
    with _directories() as (target, _):
        try:
            devices.mount_devices(kernel, target)
            names = sorted(os.listdir(target))
        finally:
            mounts.unmount_below(kernel, os.path.dirname(target))
    return f"{devices.RULESET} shows {' '.join(names)}"


def _file_mounts(_kernel: Kernel) -> str:
    raise OSError("not used: nullfs of a single file panics 13.2")


def _racct(kernel: Kernel) -> str:
    if not rctl.enabled(kernel):
        raise OSError("off")
    rule = f"jail:frx-doctor-{os.getpid()}"
    kernel.rctl_add_rule(f"{rule}:maxproc:deny=100".encode())
    kernel.rctl_remove_rule(rule.encode())
    return "memory and processes of a whole build can be limited"


def _reaper(kernel: Kernel) -> str:
    reaper.acquire(kernel)
    status = bytearray(abi.REAPER_SIZE)
    kernel.procctl(os.getpid(), abi.PROC_REAP_STATUS, status)
    return "orphans fall to their supervisor"


def _no_new_privs(kernel: Kernel) -> str:
    kernel.procctl(
        0, abi.PROC_NO_NEW_PRIVS_CTL, bytearray(abi.PROC_NO_NEW_PRIVS_ENABLE.to_bytes(4, sys.byteorder))
    )
    return "set-id programs give a builder nothing"


def _since(feature: str, detail: str) -> Callable[[Kernel], str]:
    def attempt(kernel: Kernel) -> str:
        if not abi.has(feature, _release(kernel)):
            raise OSError(f"since FreeBSD {abi.SINCE[feature]}")
        return detail

    return attempt


@contextlib.contextmanager
def _directories() -> Iterator[tuple[str, str]]:
    """Two empty ones, by canonical names."""
    with tempfile.TemporaryDirectory(prefix="fruix-doctor-") as base:
        base = os.path.realpath(base)  # noqa: PLW2901 - the same, by its canonical name
        for name in ("target", "source"):
            os.mkdir(f"{base}/{name}")
        yield f"{base}/target", f"{base}/source"


@contextlib.contextmanager
def _mounted(kernel: Kernel, options: list[Pair], flags: int, target: str) -> Iterator[None]:
    mounts.mount(kernel, options, flags)
    try:
        yield
    finally:
        try:
            kernel.unmount(target.encode(), 0)
        except KernelError:
            kernel.unmount(target.encode(), abi.MNT_FORCE)
            raise


class _Row(NamedTuple):
    """A `Probe` whose attempt is made on a kernel."""

    name: str
    attempt: Callable[[Kernel], str]
    remedy: str
    needed: bool = True
    in_child: bool = True


_ROWS = (
    _Row("kernel version", _version, f"use FreeBSD {OLDEST} or later, better 13", in_child=False),
    _Row("root", _root, "run the daemon as root: only root can make jails", in_child=False),
    _Row("jails", _jail, "run on the host, or in a jail with children.max"),
    _Row(
        "vimage",
        _vimage,
        "use a kernel with option VIMAGE (GENERIC has it): without it builds have no loopback interface",
        needed=False,
        in_child=False,
    ),
    _Row("nullfs", _nullfs, "kldload nullfs; nullfs_load=YES in /boot/loader.conf"),
    _Row("tmpfs", _tmpfs, "kldload tmpfs; tmpfs_load=YES in /boot/loader.conf"),
    _Row(
        "devfs ruleset",
        _devfs,
        "look at `devfs rule -s 35001 show`: it has to hide all but harmless devices",
    ),
    _Row(
        "file mounts",
        _file_mounts,
        "none needed: single files are copied",
        needed=False,
        in_child=False,
    ),
    _Row(
        "racct",
        _racct,
        "kern.racct.enable=1 in /boot/loader.conf: "
        "else limits of a whole build are looked after twice a second, not kept by the kernel",
        needed=False,
        in_child=False,
    ),
    _Row("reaper", _reaper, "use FreeBSD 10 or later"),
    _Row(
        "no_new_privs",
        _no_new_privs,
        "use FreeBSD 13 or later; mounts are nosuid in any case",
        needed=False,
    ),
    _Row(
        "unixbypass",
        _since("unix sockets stop at nullfs", "nullfs stops connections to Unix sockets below it"),
        "use FreeBSD 15: before, a socket in a directory that is shown can be connected to",
        needed=False,
        in_child=False,
    ),
    _Row(
        "jail descriptors",
        _since("jail descriptors", "jails can be held by descriptor"),
        "none needed: jails are found by name and path",
        needed=False,
        in_child=False,
    ),
)


def probes(kernel: Kernel) -> Sequence[Probe]:
    """What the doctor tries on a FreeBSD kernel, in the order of the table."""
    return [
        Probe(row.name, partial(row.attempt, kernel), row.remedy, row.needed, row.in_child) for row in _ROWS
    ]
