"""The packages that come with Fruix: one file each, with a module-level `package`."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from functools import lru_cache

from fruix.errors import UsageError
from fruix.packages.package import Package, nearest


@lru_cache(maxsize=1)
def _names() -> frozenset[str]:
    return frozenset(module.name for module in pkgutil.iter_modules(__path__))


def find(word: str) -> Package:
    """A package by `NAME` or `NAME@VERSION`.

    Raises:
        UsageError: there is none; the hint names the nearest.
    """
    name, _, version = word.partition("@")
    module = name.replace("-", "_").replace("+", "x")
    if module not in _names():
        known = [package.name for package in all_packages()]
        raise UsageError(f"there is no package '{name}' in the catalogue", hint=nearest(name, known))
    package = _load(module)
    if version and version != package.version:
        raise UsageError(
            f"package '{name}' has version {package.version}, not {version}",
            hint=f"fruix build {name}@{package.version}",
        )
    return package


def all_packages() -> Iterator[Package]:
    """Every package, by name."""
    for module in sorted(_names()):
        yield _load(module)


def _load(module: str) -> Package:
    package = importlib.import_module(f"{__name__}.{module}").package
    assert isinstance(package, Package)
    return package
