"""Files of the source to places in the output. Arguments: `install` (pairs of source and destination), `environment`.

A destination ending in `/` is a directory; `.` as the source means all of it.
"""

from __future__ import annotations

import shlex

from fruix.errors import UsageError
from fruix.packages.build_systems.recipe import Recipe, environment_of, read_arguments
from fruix.packages.build_systems.unpack import PATCH, RECORD_SOURCE, UNPACK
from fruix.packages.package import Package
from fruix.packages.phases import Phases

DEFAULTS = {"install": ((".", "./"),), "environment": {}}


def recipe(package: Package) -> Recipe:
    """Unpack, patch, install."""
    arguments = read_arguments(package, DEFAULTS)
    if package.source is None:
        raise UsageError("build system copy needs a source", where=package.name)
    install = 'mkdir -p "$out"\n' + "\n".join(_copy(package, pair) for pair in arguments["install"])
    phases = Phases(
        (("unpack", UNPACK), ("patch", PATCH), ("install", install), ("record-source", RECORD_SOURCE))
    )
    return Recipe(phases, environment_of(arguments))


def _copy(package: Package, pair: tuple[str, str]) -> str:
    source, destination = pair
    for part in (source, destination):
        if part.startswith("/") or ".." in part.split("/"):
            raise UsageError(
                f"'{part}' leads out of the source or the output", where=f"{package.name}, argument 'install'"
            )
    target = f'"$out"/{shlex.quote(destination)}'
    parent = target if destination.endswith("/") else f'"$(dirname {target})"'
    what = "./." if source == "." else shlex.quote(f"./{source}")
    return f"mkdir -p {parent}\ncp -R {what} {target}"
