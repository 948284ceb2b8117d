"""devfs: the devices of a small machine, the rules that hide them, and a directory with those that are left.

Devices that a build needs are Linux's own; the others (disks, memory) are plain files by those
names, so that a jail which shows them can be told from one which doesn't.
"""

from __future__ import annotations

import errno
import fnmatch
import os
import stat
from collections.abc import Iterable, Sequence

from freebsd_double.kernel_state import Tables
from fruix.sandbox.freebsd import abi
from fruix.sandbox.freebsd.kernel import KernelError

_REAL = ("null", "zero", "full", "random", "urandom")
_LINKS = {"stdin": "0", "stdout": "1", "stderr": "2", "fd/0": "0", "fd/1": "1", "fd/2": "2"}
_OTHERS = ("ada0", "ada0p2", "bpf", "console", "crypto", "fuse", "kmem", "mem", "pci", "zfs")
# pts and ptmx come into being when a terminal is asked for.
NAMES = (*_REAL, "fd", *_LINKS, *_OTHERS)
_STEP = 100  # between the numbers that the kernel picks for rules
_MOST = 0xFFFF

Rule = tuple[int, int, str]


def visible(rules: Sequence[Rule]) -> list[str]:
    """What a mount shows: everything, changed by each rule in turn."""
    shown = dict.fromkeys(NAMES, True)
    for _, action, pattern in rules:
        for name in NAMES:
            if not pattern or fnmatch.fnmatchcase(name, pattern):
                shown[name] = action == abi.DRB_UNHIDE
    return [name for name in NAMES if shown[name] and shown[os.path.dirname(name) or name]]


def fill(directory: str, names: Iterable[str]) -> None:
    """Make the nodes in an empty directory."""
    for name in names:
        path = f"{directory}/{name}"
        if name == "fd":
            os.mkdir(path, 0o555)
        elif name in _LINKS:
            os.symlink(f"/proc/self/fd/{_LINKS[name]}", path)
        elif name in _REAL:
            status = os.stat(f"/dev/{name}")
            os.mknod(path, stat.S_IFCHR | 0o666, status.st_rdev)
            os.chmod(path, 0o666)
        else:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def ioctl(tables: Tables, request: int, argument: bytearray) -> None:
    """The rules: add, delete, tell the next one."""
    if request == abi.DEVFSIO_RDEL:
        _delete(tables, int.from_bytes(argument, "little"))
        return
    if (
        len(argument) != len(abi.devfs_rule(0, 0, 0))
        or int.from_bytes(argument[:4], "little") != abi.DEVFS_MAGIC
    ):
        raise KernelError("ioctl", errno.EOPNOTSUPP)
    ruleset, number, action, pattern = abi.devfs_rule_in(argument)
    rules = tables.rules.setdefault(str(ruleset), [])
    if request == abi.DEVFSIO_RADD:
        number = number or max((rule[0] for rule in rules), default=0) + _STEP
        if number > _MOST:
            raise KernelError("ioctl", errno.ERANGE)
        if any(rule[0] == number for rule in rules):
            raise KernelError("ioctl", errno.EEXIST)
        rules.append((number, action, pattern.decode()))
        rules.sort()
    else:
        following = next((rule for rule in rules if rule[0] > number), None)
        if following is None:
            raise KernelError("ioctl", errno.ENOENT)
        argument[:] = abi.devfs_rule(ruleset, following[0], following[1], following[2].encode())


def _delete(tables: Tables, identity: int) -> None:
    rules = tables.rules.get(str(identity >> 16), [])
    for rule in rules:
        if rule[0] == identity & 0xFFFF:
            rules.remove(rule)
            return
    raise KernelError("ioctl", errno.ENOENT)


def is_devfs(descriptor: int) -> bool:
    """Whether a descriptor is of the host's /dev."""
    return os.path.samestat(os.fstat(descriptor), os.stat("/dev"))
