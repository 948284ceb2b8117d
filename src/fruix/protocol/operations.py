"""Which operations a session has: the rows of its dialect that its version knows, by number."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from fruix.protocol.guix import GUIX
from fruix.protocol.nix import NIX
from fruix.protocol.schema import Operation
from fruix.protocol.wire import Context, Dialect

TABLES: Mapping[Dialect, tuple[Operation, ...]] = {Dialect.NIX: NIX, Dialect.GUIX: GUIX}


@cache
def by_name(dialect: Dialect) -> Mapping[str, Operation]:
    """A dialect's rows by name, for clients."""
    return {operation.name: operation for operation in TABLES[dialect]}


@cache
def _numbered(dialect: Dialect, minor: int, features: frozenset[str]) -> Mapping[int, Operation]:
    context = Context(dialect, minor, "", features)
    return {operation.number: operation for operation in TABLES[dialect] if operation.present(context)}


def operations(context: Context) -> Mapping[int, Operation]:
    """The operations of a session. Built once per version and kept."""
    return _numbered(context.dialect, context.minor, context.features)
