"""Errors as clients see them: texts by dialect; Fruix's own clients get class, hint and fields beside them.

The Guix dialect quotes paths in its older way and knows a status; the Nix dialect has neither.
"""

from __future__ import annotations

from fruix.errors import BuildError, FruixError, InvalidPathError, of_system
from fruix.protocol.messages import Failure
from fruix.protocol.own_errors import failure_of
from fruix.protocol.own_operations import FEATURE
from fruix.protocol.wire import Context, Dialect


class BuildsFailedError(BuildError):
    """What a client asked for was not built.

    `status` is that of the Guix dialect: 100 failed, 101 out of time, 1 anything else.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


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
    return Failure(f"{error}\n{error.hint}" if error.hint else str(error))


def _guix_text(error: FruixError) -> str:
    if isinstance(error, InvalidPathError):
        return f"path `{error.path}' is not valid"
    return str(error)
