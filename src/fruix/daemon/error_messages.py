"""Errors as clients see them: texts by dialect; Fruix's own clients get class, hint and fields beside them.

The Guix dialect quotes paths in its older way; it knows a status, as the Nix dialect did.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fruix.errors import (
    BadHashPartError,
    BadNameError,
    BuildError,
    FruixError,
    HashLengthError,
    InvalidPathError,
    NotPermittedError,
    OutsideStoreError,
    of_system,
)
from fruix.late import late_pattern
from fruix.protocol.advice import advised
from fruix.protocol.common_operations import ClearFailedPaths, IsValidPath
from fruix.protocol.messages import Failure
from fruix.protocol.own_errors import failure_of
from fruix.protocol.records import Request
from fruix.protocol.wire import FEATURE, Context, Dialect

_QUOTED = late_pattern("'([^' ]+)'")
# Operations after whose errors of that kind the Guix dialect goes on, where it ends with others.
_GOES_ON: frozenset[type[Request[Any]]] = frozenset({IsValidPath, ClearFailedPaths})


class BuildsFailedError(BuildError):
    """What a client asked for was not built.

    `status` is that of the Guix dialect and of old versions of Nix's: 100 failed, 101 out of time, 1
    anything else.
    """

    def __init__(self, message: str, status: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status


class EndingRefusalError(NotPermittedError):
    """What a user may not do, where guix-daemon ends the session: it refuses before it has read all."""


def failure(error: Exception, context: Context) -> Failure:
    """The message that tells a client of `error`."""
    status = error.status if isinstance(error, BuildsFailedError) else 1
    if isinstance(error, OSError):
        error = of_system(error)
    if not isinstance(error, FruixError):
        return Failure(f"internal error in the daemon: {type(error).__name__}: {error}", status)
    if context.dialect is Dialect.GUIX:
        return Failure(_guix_text(error), status)
    if FEATURE in context.features:
        return failure_of(error)
    return Failure(advised(str(error), error.hint, context), status)


def ends_session(error: Exception, kind: type[Request[Any]], context: Context) -> bool:
    """Whether the session ends with that error's answer: in the Guix dialect, where guix-daemon ends it.

    It reads paths while it reads a request, so one outside of the store leaves it with half of it.
    """
    if context.dialect is not Dialect.GUIX:
        return False
    return isinstance(error, EndingRefusalError) or (
        isinstance(error, OutsideStoreError) and kind not in _GOES_ON
    )


def guix_quotes(text: str) -> str:
    """Put words into the quotes that the Guix dialect has: `` `word' ``."""
    return _QUOTED.sub(r"`\1'", text)


def _bad_name(error: BadNameError) -> str:
    if error.character == ".":
        return f"invalid name: `{error.name}' (can't begin with dot)"
    return f"invalid character `{error.character}' in name `{error.name}'"


def _hash_length(error: HashLengthError) -> str:
    has, algorithm = len(error.text) // 2, error.algorithm.upper()
    return f"invalid {algorithm} hash '{error.text}' ({has} bytes but expected {error.size})"


# Errors that the Guix dialect has words of its own for; its client's tests look for them.
_GUIX_TEXTS: Mapping[type[FruixError], Callable[[Any], str]] = {
    InvalidPathError: lambda error: f"path `{error.path}' is not valid",
    OutsideStoreError: lambda error: f"path `{error.path}' is not in the store",
    BadHashPartError: lambda _error: "invalid hash part",
    BadNameError: _bad_name,
    HashLengthError: _hash_length,
}


def _guix_text(error: FruixError) -> str:
    for said in (error, error.__cause__):  # what is wrong with a derivation, then what with its hash
        if isinstance(said, FruixError) and (text := _GUIX_TEXTS.get(type(said))):
            return text(said)
    return guix_quotes(str(error)) if not isinstance(error, BuildsFailedError) else str(error)
