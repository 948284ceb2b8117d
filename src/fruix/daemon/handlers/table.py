"""What the daemon does for each operation: functions by the requests' classes.

A handler gets its session and the request, and returns what the reply holds; what it can't do it
raises. `Request.answered_by` has type checkers compare both with what the protocol's table says.
The rows stand beside the handlers; both dialects share those that ask the same. Operations without
a handler are answered as not implemented.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fruix.daemon.handlers import add, build, collect, deduplicate, exports, query, substitutes, verify
from fruix.daemon.session import Handler
from fruix.protocol.records import Request
from fruix.protocol.wire import Dialect

_SHARED = (
    *query.SHARED,
    *add.SHARED,
    *build.SHARED,
    *exports.SHARED,
    *deduplicate.SHARED,
    *collect.SHARED,
    *verify.SHARED,
    *substitutes.SHARED,
)


HANDLERS: Mapping[Dialect, Mapping[type[Request[Any]], Handler]] = {
    Dialect.NIX: dict(
        (
            *_SHARED,
            *query.NIX,
            *add.NIX,
            *build.NIX,
            *exports.NIX,
            *collect.NIX,
            *verify.NIX,
            *substitutes.NIX,
        )
    ),
    Dialect.GUIX: dict((*_SHARED, *query.GUIX, *add.GUIX, *substitutes.GUIX)),
}
