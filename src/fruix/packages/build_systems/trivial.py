"""A script of the package's own as the only phase. Arguments: `script`, `environment`."""

from __future__ import annotations

from fruix.errors import UsageError
from fruix.packages.build_systems.recipe import Recipe, environment_of, read_arguments
from fruix.packages.package import Package
from fruix.packages.phases import Phases

DEFAULTS = {"script": "", "environment": {}}


def recipe(package: Package) -> Recipe:
    """One phase, `build`."""
    arguments = read_arguments(package, DEFAULTS)
    if not arguments["script"].strip():
        raise UsageError("build system trivial needs the argument 'script'", where=package.name)
    return Recipe(Phases((("build", arguments["script"]),)), environment_of(arguments))
