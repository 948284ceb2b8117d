"""The packages that come with Fruix: one file each, with a module-level `package`."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache, lru_cache

from fruix.packages.package import Package


@lru_cache(maxsize=1)
def shipped_names() -> frozenset[str]:
    """The names of all packages that come with Fruix; no package is loaded."""
    return frozenset(_name(module.name) for module in pkgutil.iter_modules(__path__))


@cache
def shipped(name: str) -> Package:
    """One of `shipped_names`, always the same object."""
    package = importlib.import_module(f"{__name__}.{_module(name)}").package
    assert isinstance(package, Package)
    assert package.name == name, f"catalogue/{_module(name)}.py defines '{package.name}'"
    return package


def _module(name: str) -> str:
    return name.replace("-", "_")


def _name(module: str) -> str:
    return module.replace("_", "-")
