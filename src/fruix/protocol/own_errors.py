"""Errors between the daemon and Fruix's own clients: class, hint and fields travel beside the text.

In the record of an error the name is the class's, the first trace the hint, the second the fields
(JSON) of those classes whose constructors take fields instead of a message. Other daemons name
every error `Error`: then the text is all that there is, and nothing is read out of it.
"""

from __future__ import annotations

from typing import Any

from fruix import errors
from fruix.errors import DisconnectedError, FruixError, ProtocolError
from fruix.late import late_import
from fruix.protocol.messages import Failure

TYPE_CHECKING = False  # what `typing` has, without loading it
if TYPE_CHECKING:
    import json
else:
    json = late_import("json")

_COMMON = frozenset({"message", "where", "hint"})
# Those that would say something about the connection between daemon and client.
_NOT_PASSED_ON = (ProtocolError, DisconnectedError)


def failure_of(error: FruixError) -> Failure:
    """Return the message that tells one of Fruix's own clients of `error`."""
    own = json.dumps({name: value for name, value in vars(error).items() if name not in _COMMON})
    fields = (own,) if _takes_fields(type(error)) else ()
    hint = (error.hint,) if error.hint or fields else ()
    return Failure(str(error), traces=(*hint, *fields), name=type(error).__name__)


def error_of(failure: Failure) -> FruixError:
    """Return the error that a daemon reported, as the class that it named if there is such a one."""
    hint, fields, *_ = (*failure.traces, "", "")
    kind: Any = getattr(errors, failure.name, None)
    if not (isinstance(kind, type) and issubclass(kind, FruixError)) or kind in _NOT_PASSED_ON:
        kind = FruixError
    try:
        error: FruixError
        if _takes_fields(kind):
            error = kind(**json.loads(fields), hint=hint)
        else:
            error = kind(failure.message, hint=hint)
    except (ValueError, TypeError, RecursionError):  # a daemon of another version
        return FruixError(failure.message, hint=hint)
    return error


def _takes_fields(kind: type[FruixError]) -> bool:
    return kind is not FruixError and any(
        "__init__" in vars(base) for base in kind.__mro__[: kind.__mro__.index(FruixError)]
    )
