"""Build systems: each turns a package's arguments into phases and variables of its builder. One file each, found in the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fruix.errors import UsageError
from fruix.packages.build_systems import copy, gnu, trivial
from fruix.packages.build_systems.recipe import Recipe
from fruix.packages.package import Package, nearest

BUILD_SYSTEMS: Mapping[str, Callable[[Package], Recipe]] = {
    "copy": copy.recipe,
    "gnu": gnu.recipe,
    "trivial": trivial.recipe,
}

__all__ = ["BUILD_SYSTEMS", "Recipe", "recipe"]


def recipe(package: Package) -> Recipe:
    """How to build a package.

    Raises:
        UsageError: unknown build system, unknown argument, or one of a wrong type.
    """
    make = BUILD_SYSTEMS.get(package.build_system)
    if make is None:
        raise UsageError(
            f"unknown build system '{package.build_system}'",
            where=package.name,
            hint=nearest(package.build_system, BUILD_SYSTEMS),
        )
    return make(package)
