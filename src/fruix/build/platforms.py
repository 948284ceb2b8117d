"""Which systems' derivations can be built here."""

from __future__ import annotations

import platform

from fruix.errors import BuildError
from fruix.model.derivation import Derivation
from fruix.model.systems import this_system
from fruix.sandbox import back_end

# What else a machine of a system runs by itself.
ALSO_RUNS: dict[str, tuple[str, ...]] = {"x86_64-linux": ("i686-linux",)}


def local_system() -> str:
    """This machine's system name, like `x86_64-linux`."""
    return this_system(back_end().sysname, platform.machine())


def check_system(derivation: Derivation) -> None:
    """Refuse what this machine can't run. Built-ins run anywhere.

    Raises:
        BuildError: the derivation is for another system.
    """
    here = local_system()
    if derivation.builder.startswith("builtin:") or derivation.system in (here, *ALSO_RUNS.get(here, ())):
        return
    raise BuildError(
        f"a '{derivation.system}' is required to build '{derivation.name}', but this machine is a '{here}'",
        hint="build it on a machine of that system",
    )
