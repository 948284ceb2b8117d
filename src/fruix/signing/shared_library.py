"""Shared libraries that sign, looked for and given the types of the functions that are used."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Iterator, Mapping

# name → (result, arguments)
Prototypes = Mapping[str, tuple[type | None, tuple[type, ...]]]


def libraries(files: Iterable[str], name: str, prototypes: Prototypes) -> Iterator[ctypes.CDLL]:
    """Those of the files that have all functions, then what the system finds by `name`."""
    for file in _candidates(files, name):
        try:
            found = ctypes.CDLL(file)
            for function, (result, arguments) in prototypes.items():
                call = getattr(found, function)
                call.restype, call.argtypes = result, arguments
        except (OSError, AttributeError):
            continue
        yield found


def _candidates(files: Iterable[str], name: str) -> Iterator[str]:
    yield from files
    import ctypes.util  # noqa: PLC0415 - seldom needed

    if found := ctypes.util.find_library(name):  # asks other programs, so last
        yield found
