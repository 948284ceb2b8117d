"""Which derivations this machine can build: their system, and the features that they require.

A machine builds for its own system, for those that its kernel runs as well, and for what the
operator adds (`extra-platforms`: an emulator is registered with the kernel). In Guix's world any
system of the same kernel is tried, so such an emulator needs no setting. Features are words that
derivations and operators agree on; only `kvm` means something here: the device is shown to the
builder.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Sequence

from fruix.building.failures import FailedError
from fruix.building.settings import BuildSettings
from fruix.errors import FruixError, SandboxError
from fruix.model.attributes import Attributes
from fruix.model.derivation import Derivation
from fruix.model.reasons import reason
from fruix.model.storepath import StorePath
from fruix.model.text import printable
from fruix.sandbox.contracts import Contract
from fruix.this_machine import local_system

KVM, RECURSIVE = "kvm", "recursive-nix"
KVM_DEVICE = "/dev/kvm"
# What a machine of a system runs by itself. Nix and Guix have different names for 32-bit ARM.
ALSO_RUNS: dict[str, tuple[str, ...]] = {
    "x86_64-linux": ("i686-linux",),
    "aarch64-linux": ("armv7l-linux", "armhf-linux"),
    "armv7l-linux": ("armhf-linux",),
}
# Of those, the ones whose builders must be told that the machine has 32 bits.
NARROW = frozenset({"i686-linux", "armv7l-linux", "armhf-linux"})
# Agreed on by the packages of the Nix world; a machine has them until its operator says otherwise.
COMMON_FEATURES = ("benchmark", "big-parallel", "nixos-test")


def personality(system: str) -> str:
    """How the kernel presents itself to builders for `system`: `native` or `linux32`."""
    return "linux32" if system in NARROW and system in ALSO_RUNS.get(local_system(), ()) else "native"


def features(settings: BuildSettings) -> tuple[str, ...]:
    """What this machine offers.

    As the operator says, else the common ones, and `kvm` if it can be used.
    """
    if settings.system_features is not None:
        return settings.system_features
    usable = kvm_groups() is not None
    return tuple(sorted((*COMMON_FEATURES, KVM) if usable else COMMON_FEATURES))


def abilities(settings: BuildSettings) -> tuple[str, ...]:
    """The same, with what is on of the daemon's own abilities, which no list of features switches."""
    offered = tuple(name for name in features(settings) if name != RECURSIVE)
    return (*offered, RECURSIVE) if RECURSIVE in settings.experimental_features else offered


def kvm_groups() -> tuple[int, ...] | None:
    """The groups that a builder needs to use the device.

    None: there is none, or it is for root alone.
    """
    try:
        status = os.stat(KVM_DEVICE)
    except OSError:
        return None
    if not os.access(KVM_DEVICE, os.R_OK | os.W_OK):
        return None  # a daemon without root, whose builders have its own rights
    return groups_for(status.st_mode, status.st_gid)


def groups_for(mode: int, gid: int) -> tuple[int, ...] | None:
    """The groups that a builder needs to open a device of that mode and group.

    Never root's own: much else is open to that.
    """
    if mode & 0o006 == 0o006:
        return ()
    return (gid,) if mode & 0o060 == 0o060 and gid != 0 else None


def check_machine(
    drv: StorePath,
    derivation: Derivation,
    attributes: Attributes,
    contract: Contract,
    settings: BuildSettings,
) -> None:
    """Refuse what this machine can't build as it is declared.

    Raises:
        FailedError: another system, a feature that is missing, or no sandbox is asked for.
    """
    here = local_system()
    if not _runs(derivation.system, here, settings, guix=contract.guix_attributes):
        hint = "build it on such a machine; if this one has an emulator, name the system in 'extra-platforms'"
        raise FailedError(drv, reason("system", wanted=printable(derivation.system), here=here), hint=hint)
    check_features(drv, attributes, settings)
    if RECURSIVE in attributes.required_features and derivation.is_open:
        raise FailedError(drv, reason("open"), hint="build it in a derivation of its own")
    if attributes.no_sandbox and settings.sandbox:
        hint = "declare what the build needs as inputs, or use a host view"
        raise FailedError(drv, reason("no-sandbox"), hint=hint)
    if attributes.host_paths:
        raise FailedError(
            drv, reason("host-path", path=printable(attributes.host_paths[0])), hint="use a host view"
        )


def check_features(drv: StorePath, attributes: Attributes, settings: BuildSettings) -> None:
    """Refuse a derivation whose features are not all there.

    Raises:
        FailedError: one is missing.
    """
    offered = abilities(settings)
    if missing := sorted(set(attributes.required_features) - set(offered)):
        if RECURSIVE in missing:
            raise FailedError(drv, reason("recursive"), hint="'experimental-features' has it switched on")
        wanted = printable(", ".join(sorted(set(attributes.required_features))))
        hint = f"if this machine has '{printable(missing[0])}', name it in the setting 'system-features'"
        raise FailedError(drv, reason("features", wanted=wanted, here=", ".join(offered)), hint=hint)


def _runs(system: str, here: str, settings: BuildSettings, *, guix: bool) -> bool:
    if system in (here, *ALSO_RUNS.get(here, ()), *settings.extra_platforms):
        return True
    return guix and system.rpartition("-")[2] == here.rpartition("-")[2]


def explain_start(
    drv: StorePath, derivation: Derivation, error: SandboxError, directories: Sequence[str]
) -> FruixError:
    """Why a builder could not be started.

    Too much to tell it, a program of another system that was tried, or as it says.

    `directories`: one on each file system that it may lie on.
    """
    here = local_system()
    if error.errno == errno.E2BIG:
        return FailedError(drv, reason("too-much"), hint="name big variables in passAsFile, or use __json")
    if error.errno == errno.EACCES and (hint := noexec_hint(directories)):
        error.hint = hint
    if error.errno != errno.ENOEXEC or derivation.system == here:
        return error
    hint = "this machine's kernel can't run it, and no emulator for it is registered"
    return FailedError(drv, reason("system", wanted=printable(derivation.system), here=here), hint=hint)


def noexec_hint(directories: Iterable[str]) -> str:
    """What to do about the first of them on whose file system no program can be run.

    Empty if there is none.
    """
    flag = getattr(os, "ST_NOEXEC", 0)
    found = [directory for directory in directories if os.statvfs(directory).f_flag & flag]
    if not found:
        return ""
    return f"'{found[0]}' is mounted with 'noexec', so builds can't run programs there: mount it with 'exec'"


def wants_to_talk(attributes: Attributes, settings: BuildSettings) -> bool:
    """Whether the builder may talk to the daemon (recursive Nix)."""
    return RECURSIVE in attributes.required_features and RECURSIVE in settings.experimental_features


def wants_kvm(attributes: Attributes, contract: Contract, settings: BuildSettings) -> bool:
    """Whether the builder is shown the device.

    If it requires it, or (in Guix's world, where it can't) if it is there.
    """
    asked = contract.guix_attributes or KVM in attributes.required_features
    return asked and KVM in features(settings) and os.path.exists(KVM_DEVICE)
