"""A host view as a value.

Its name, the fingerprint of all that it shows, what it shows, and which packages of the host that
is from.

Resolving one on a machine is the sandbox's affair (`fruix.hostview`); derivations carry name and
fingerprint. How two differ: `viewdiff`.
"""

from __future__ import annotations

from collections.abc import Mapping

from fruix.dataclass import dataclass, field

# Variables by which a derivation asks for a view and a build contract.
VIEW_VARIABLE = "fruixHostView"
VIEW_HASH_VARIABLE = "fruixHostViewHash"
CONTRACT_VARIABLE = "fruixContract"
# The file that builders of packages read first, for shells that look around in their sandboxes.
SET_UP_VARIABLE = "setUp"


@dataclass(frozen=True, slots=True)
class HostPackage:
    """A package of the host's own package manager that has something of a view.

    Attributes:
        version: as the package manager writes it; empty if it doesn't say.
        paths: the items of the view's `tools` that belong to it, or in which it has files.
    """

    version: str
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HostView:
    """What a view shows.

    Attributes:
        fingerprint: 64 hex digits over everything shown.
        tools: path as seen inside → SHA-256 (hex) or link text.
        path: directories of programs, in the order in which they are to be searched.
        packages: by name; empty where no package manager is known. Versions are no part of the
            fingerprint.
    """

    name: str
    fingerprint: str
    tools: Mapping[str, str] = field(default_factory=dict)
    path: tuple[str, ...] = ("/usr/bin", "/bin")
    packages: Mapping[str, HostPackage] = field(default_factory=dict)


Sighting = tuple[str, int]
"""A fingerprint that a view had, and since when (seconds since the epoch)."""
