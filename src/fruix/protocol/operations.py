"""Which operations a session has: the rows of its dialect that its version knows, by number."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from fruix.protocol.guix import GUIX
from fruix.protocol.nix import NIX
from fruix.protocol.nix_before_34 import OLD
from fruix.protocol.records import Operation, Request
from fruix.protocol.wire import Context, Dialect

TABLES: Mapping[Dialect, tuple[Operation, ...]] = {
    Dialect.NIX: (*OLD, *NIX),
    Dialect.GUIX: GUIX,
}


@cache
def by_request(dialect: Dialect) -> Mapping[type[Request[Any]], Operation]:
    """A dialect's rows by the classes of their requests, for clients, which speak the newest version."""
    return {operation.kind: operation for operation in TABLES[dialect] if not operation.before}


@cache
def _numbered(dialect: Dialect, minor: int, features: frozenset[str]) -> Mapping[int, Operation]:
    context = Context(dialect, minor, "", features)
    return {operation.number: operation for operation in TABLES[dialect] if operation.present(context)}


def operations(context: Context) -> Mapping[int, Operation]:
    """The operations of a session. Built once per version and kept."""
    return _numbered(context.dialect, context.minor, context.features)
