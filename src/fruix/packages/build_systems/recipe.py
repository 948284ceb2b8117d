"""What a build system makes of a package, and help for reading its arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fruix.errors import UsageError
from fruix.packages.package import Package, nearest
from fruix.packages.phases import Phases


@dataclass(frozen=True, slots=True)
class Recipe:
    """The builder's phases, and variables for its environment."""

    phases: Phases
    environment: Mapping[str, str] = field(default_factory=dict)


# The same everywhere, so that no build depends on the day, the place or the language of whoever runs it.
FIXED_ENVIRONMENT: Mapping[str, str] = {"LC_ALL": "C", "SOURCE_DATE_EPOCH": "1", "TZ": "UTC"}


def read_arguments(package: Package, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The package's arguments over `defaults`, whose types they must have.

    Raises:
        UsageError: an unknown argument, or one of another type.
    """
    for name, value in package.arguments.items():
        where = f"{package.name}, build system {package.build_system}"
        if name not in defaults:
            raise UsageError(f"unknown argument '{name}'", where=where, hint=nearest(name, defaults))
        expected = type(defaults[name])
        if not isinstance(value, expected) and not (expected is tuple and isinstance(value, list)):
            raise UsageError(f"argument '{name}' should be a {expected.__name__}, not {value!r}", where=where)
    return {**defaults, **package.arguments}


def environment_of(arguments: Mapping[str, Any]) -> dict[str, str]:
    """Fixed variables, and the package's own over them."""
    return {
        **FIXED_ENVIRONMENT,
        **{str(name): str(value) for name, value in arguments["environment"].items()},
    }


def changed(items: Sequence[tuple[str, str]], arguments: Mapping[str, Any]) -> Phases:
    """The standard phases, without `check` if tests are off, after the package's own changes."""
    standard = Phases(tuple(item for item in items if arguments["tests"] or item[0] != "check"))
    phases: Phases = arguments["phases"](standard)
    return phases


def quoted(flag: str) -> str:
    """For the shell, but with variables of the builder such as `$out` put in."""
    return '"' + flag.replace("\\", "\\\\").replace('"', '\\"').replace("`", "\\`") + '"'
