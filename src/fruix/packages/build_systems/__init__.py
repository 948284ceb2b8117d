"""Build systems: each turns arguments into phases and variables of a builder. One file each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from fruix.dataclass import dataclass, field
from fruix.packages import check
from fruix.packages.build_systems import cmake, copy, gnu, meson, python, trivial
from fruix.packages.build_systems.recipe import FIXED_ENVIRONMENT, Arguments, Items, Recipe, changed
from fruix.packages.build_systems.shared_phases import SET_UP
from fruix.packages.phases import Phases
from fruix.packages.variables import check_environment, check_outputs


@dataclass(frozen=True, slots=True)
class BuildSystem:
    """What distinguishes a build system from others.

    Attributes:
        arguments: the class of its arguments; a subclass of `recipe.Arguments`.
        phases: makes the standard phases from such arguments and the names of the outputs.
        root: the root for packages that name neither a root nor a view; none: `host_view`.
        host_view: the view for packages that name none, where there is no root.
        tools: packages of the catalogue that are native inputs of every package with this build
            system.
        environment: variables of all its builders; a package's own go before them.
        own_text: whether the standard phases are the build system's own text, and not the
            package's.
    """

    arguments: type[Arguments]
    phases: Callable[[Any, Sequence[str]], Items]
    root: str = ""
    host_view: str = "base"
    tools: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    own_text: bool = True


BUILD_SYSTEMS: Mapping[str, BuildSystem] = {
    "cmake": BuildSystem(cmake.Arguments, cmake.phases, cmake.ROOT, cmake.HOST_VIEW),
    "copy": BuildSystem(copy.Arguments, copy.phases),
    "gnu": BuildSystem(gnu.Arguments, gnu.phases, gnu.ROOT),
    "meson": BuildSystem(meson.Arguments, meson.phases, meson.ROOT, meson.HOST_VIEW, meson.TOOLS),
    "python": BuildSystem(
        python.Arguments,
        python.phases,
        python.ROOT,
        python.HOST_VIEW,
        python.TOOLS,
        environment=python.ENVIRONMENT,
    ),
    "trivial": BuildSystem(trivial.Arguments, trivial.phases, own_text=False),
}

__all__ = ["BUILD_SYSTEMS", "BuildSystem", "Recipe", "make_recipe"]


def make_recipe(name: str, arguments: Mapping[str, Any], outputs: Sequence[str]) -> Recipe:
    """The phases and variables of a package with these arguments.

    Args:
        name: one of `BUILD_SYSTEMS`.
        arguments: the package's, by name.
        outputs: the names of its outputs.

    Raises:
        UsageError: an unknown argument, one that does not fit, or outputs or variables that the
            build has itself.
    """
    system = BUILD_SYSTEMS[name]
    values = check.make(system.arguments, arguments, noun="argument", owner=f"build system {name}")
    standard = Phases(tuple(system.phases(values, outputs)))
    scripts = [SET_UP, *(script for _, script in standard.items if system.own_text)]
    check_outputs(outputs, scripts)
    check_environment(values.environment, outputs, scripts)
    environment = {**_environment(name), **values.environment} if values.environment else _environment(name)
    return Recipe(changed(standard, values), environment)


@cache
def _environment(name: str) -> Mapping[str, str]:
    """What all builders of a build system have: one dictionary for all of its packages."""
    return {**FIXED_ENVIRONMENT, **BUILD_SYSTEMS[name].environment}
