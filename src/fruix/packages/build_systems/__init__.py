"""Build systems: each turns a package's arguments into phases and variables of its builder. One file each, found in the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fruix.errors import UsageError
from fruix.packages.build_systems import cmake, copy, gnu, meson, python, trivial
from fruix.packages.build_systems.recipe import Recipe
from fruix.packages.package import Package, nearest


@dataclass(frozen=True, slots=True)
class BuildSystem:
    """One of them.

    Attributes:
        recipe: from a package to its phases.
        host_view: the view for packages that name none.
        tools: packages of the catalogue that are native inputs of every package with this build system.
    """

    recipe: Callable[[Package], Recipe]
    host_view: str = "base"
    tools: tuple[str, ...] = ()


BUILD_SYSTEMS: Mapping[str, BuildSystem] = {
    "cmake": BuildSystem(cmake.recipe, cmake.HOST_VIEW),
    "copy": BuildSystem(copy.recipe),
    "gnu": BuildSystem(gnu.recipe),
    "meson": BuildSystem(meson.recipe, meson.HOST_VIEW, meson.TOOLS),
    "python": BuildSystem(python.recipe, python.HOST_VIEW),
    "trivial": BuildSystem(trivial.recipe),
}

__all__ = ["BUILD_SYSTEMS", "BuildSystem", "Recipe", "build_system", "recipe"]


def build_system(package: Package) -> BuildSystem:
    """The one that a package names.

    Raises:
        UsageError: there is none of that name.
    """
    found = BUILD_SYSTEMS.get(package.build_system)
    if found is None:
        raise UsageError(
            f"unknown build system '{package.build_system}'",
            where=package.name,
            hint=nearest(package.build_system, BUILD_SYSTEMS),
        )
    return found


def recipe(package: Package) -> Recipe:
    """How to build a package.

    Raises:
        UsageError: unknown build system, unknown argument, or one of a wrong type.
    """
    return build_system(package).recipe(package)
