"""`/dev` of a sandbox: devfs with a ruleset of each store's own.

The ruleset is made when it is missing or different, and what it shows is looked at after mounting.

The looking is not optional: a ruleset that isn't there hides nothing, without an error, and every
disk of the host would be in the jail.
"""

from __future__ import annotations

import errno
import os
import zlib

from fruix.sandbox.freebsd import abi, mounts
from fruix.sandbox.freebsd.kernel import Kernel, KernelError

# Numbers of rulesets have 16 bits: these are Fruix's, and an operator's are elsewhere.
RULESET = 35001
_RULESETS = 30000
SHOWN = (
    "null",
    "zero",
    "full",
    "random",
    "urandom",
    "stdin",
    "stdout",
    "stderr",
    "fd",
    "fd/*",
    "ptmx",
    "pts",
    "pts/*",
)
_NEEDED = frozenset({"null", "zero", "random", "urandom"})
_ALLOWED = frozenset(name for name in SHOWN if "/" not in name)
# Everything hidden first, then one rule for each name that is shown.
_RULES = ((abi.DRB_HIDE, b""), *((abi.DRB_UNHIDE, name.encode()) for name in SHOWN))


def ruleset_of(sandbox: str) -> int:
    """The number of the ruleset for the sandbox of that name.

    All sandboxes of a store (`frx-DERIVATION-STORE-RANDOM`) have the same.

    Two daemons that find it missing at the same moment would both make it, so each has its own.
    """
    store = "-".join(sandbox.split("-")[2:-1])
    return RULESET + (zlib.crc32(store.encode()) % _RULESETS if store else 0)


def ensure_ruleset(kernel: Kernel, ruleset: int = RULESET) -> None:
    """Have the ruleset as it should be; a few calls when it is."""
    devices = os.open("/dev", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        present = _rules(kernel, devices, ruleset)
        if [(action, pattern) for _, action, pattern in present] == list(_RULES):
            return
        for number, _, _ in present:
            kernel.ioctl(devices, abi.DEVFSIO_RDEL, abi.devfs_rule_id(ruleset, number))
        for action, pattern in _RULES:
            kernel.ioctl(devices, abi.DEVFSIO_RADD, abi.devfs_rule(ruleset, 0, action, pattern))
    finally:
        os.close(devices)


def _rules(kernel: Kernel, devices: int, ruleset: int) -> list[tuple[int, int, bytes]]:
    """(number, action, pattern) of each rule there is."""
    found: list[tuple[int, int, bytes]] = []
    number = 0
    while True:
        rule = abi.devfs_rule(ruleset, number, 0)
        try:
            kernel.ioctl(devices, abi.DEVFSIO_RGETNEXT, rule)
        except KernelError as error:
            if error.errno == errno.ENOENT:
                return found
            raise
        _, number, action, pattern = abi.devfs_rule_in(rule)
        found.append((number, action, pattern))


def mount_devices(kernel: Kernel, target: str, ruleset: int = RULESET) -> None:
    """Mount devfs on `target`, and `check_devices`."""
    mounts.mount(kernel, mounts.devfs(target, ruleset), abi.MNT_NOSUID | abi.MNT_NOEXEC)
    check_devices(target, ruleset)


def check_devices(target: str, ruleset: int) -> None:
    """See that a devfs mount shows what it should.

    Raises:
        OSError: EPERM, there is more in it than a build may see, or less than it needs.
    """
    names = frozenset(os.listdir(target))
    if wrong := sorted(names - _ALLOWED) or sorted(_NEEDED - names):
        what = "shows" if names - _ALLOWED else "lacks"
        raise OSError(
            errno.EPERM, f"{os.strerror(errno.EPERM)}: devfs ruleset {ruleset} {what} {', '.join(wrong[:8])}"
        )
