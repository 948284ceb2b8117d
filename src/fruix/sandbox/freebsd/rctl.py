"""Limits of a whole jail (rctl).

They exist only where the kernel accounts resources (`kern.racct.enable=1` in loader.conf).
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from fruix.sandbox.freebsd.kernel import Kernel, KernelError
from fruix.sandbox.spec import SandboxSpec


def enabled(kernel: Kernel) -> bool:
    """Whether limits can be set. The variable is a single byte on some kernels, four on others."""
    try:
        return any(kernel.sysctl(b"kern.racct.enable"))
    except KernelError:
        return False


def wanted(spec: SandboxSpec) -> Mapping[str, int]:
    """What of the specification rctl can limit: its name of the resource → amount."""
    limits = {"memoryuse": spec.memory_max, "maxproc": spec.pids_max}
    return {name: amount for name, amount in limits.items() if amount}


def apply(kernel: Kernel, spec: SandboxSpec) -> None:
    """Set the limits of a jail that may not exist yet; they are of its name."""
    if enabled(kernel):
        for name, amount in wanted(spec).items():
            kernel.rctl_add_rule(f"jail:{spec.id}:{name}:deny={amount}".encode())


def remove(kernel: Kernel, name: str) -> None:
    """Rules outlive the jail. None there is fine."""
    with contextlib.suppress(KernelError):
        kernel.rctl_remove_rule(f"jail:{name}".encode())
