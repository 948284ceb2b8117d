"""Names of a package that are imported when they are first used: who needs what is heavy loads it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def late_names(package: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the `__getattr__` (PEP 562) of a package.

    Args:
        package: its `__name__`.
        modules: name → its module in that package; `MODULE:NAME` where it is called otherwise there,
            `MODULE:` for the module itself.
    """

    def find(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, colon, there = modules[name].partition(":")
        found = import_module(f"{package}.{module}")
        if not colon or there:
            found = getattr(found, there or name)
        setattr(sys.modules[package], name, found)
        return found

    return find
