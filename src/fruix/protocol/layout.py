"""Fields put together: records (one object's fields), layouts (a message's fields), operations (a request and its reply).

These are the columns of the tables in `nix` and `guix`. The same row serves both ends: the daemon reads requests and writes
replies, a client the other way round. Which fields a message has follows from the minor version agreed on; a value
that a version doesn't carry takes the field's default, so that handlers see one shape. Constants carry no value.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from fruix.protocol.source import Source
from fruix.protocol.wire import Codec, Constant, Context

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Field:
    """A named part of a record or message; `since` and `until` are the minor versions that have it."""

    name: str
    codec: Codec[Any]
    since: int = 0
    until: int = 1 << 8
    default: Any = None

    def present(self, context: Context) -> bool:
        """Whether messages of that version have it."""
        return self.since <= context.minor < self.until


@dataclass(frozen=True, slots=True)
class Record(Generic[T]):
    """Fields one after the other, as the attributes of one object; the names of constants don't matter."""

    make: Callable[..., T]
    fields: tuple[Field, ...] = field(default=())

    def read(self, source: Source, context: Context) -> list[Any]:
        """See `Codec`."""
        return [part.codec.read(source, context) for part in self.fields if part.present(context)]

    def parse(self, raw: Any, context: Context) -> T:
        """See `Codec`."""
        parts = (part for part in self.fields if part.present(context))
        values = {
            part.name: part.codec.parse(data, context)
            for part, data in zip(parts, raw, strict=True)
            if keeps(part)
        }
        return self.make(**values)

    def write(self, sink: bytearray, value: T, context: Context) -> None:
        """See `Codec`."""
        for part in self.fields:
            if part.present(context):
                part.codec.write(sink, getattr(value, part.name) if keeps(part) else None, context)


def keeps(part: Field) -> bool:
    """Whether a field carries a value."""
    return not isinstance(part.codec, Constant)


class Body(enum.Enum):
    """What follows a request's or a reply's fields as a stream."""

    NONE = "none"
    FRAMED = "framed"  # pieces with lengths, ended by an empty one
    NAR = "nar"  # an archive as it is, whose syntax says where it ends
    MESSAGES = "messages"  # data within the message loop: READ with answers, or WRITE


@dataclass(frozen=True, slots=True)
class Layout:
    """The fields of one message."""

    fields: tuple[Field, ...] = ()

    def read(self, source: Source, context: Context) -> list[Any]:
        """The raw form of all fields; a `ProtocolError` here ends the connection."""
        return [part.codec.read(source, context) for part in self.fields if part.present(context)]

    def parse(self, raw: Sequence[Any], context: Context) -> tuple[Any, ...]:
        """The values, in the order of the row; a `FruixError` here ends the request only."""
        rest = iter(raw)
        values = []
        for part in self.fields:
            if not part.present(context):
                values.append(part.default)
            elif keeps(part):
                values.append(part.codec.parse(next(rest), context))
            else:
                next(rest)
        return tuple(values)

    def write(self, sink: bytearray, values: Sequence[Any], context: Context) -> None:
        """Append a message; `values` as `parse` gives them.

        Raises:
            ValueError: not as many values as the row has.
        """
        rest = iter(values)
        for part in self.fields:
            value = next(rest, _MISSING) if keeps(part) else None
            if value is _MISSING:
                raise ValueError(f"no value for field '{part.name}'")
            if part.present(context):
                part.codec.write(sink, value, context)
        if next(rest, _MISSING) is not _MISSING:
            raise ValueError("more values than fields")


_MISSING = object()


@dataclass(frozen=True, slots=True)
class Operation:
    """A row: one operation in one dialect."""

    number: int
    name: str
    request: Layout = Layout()
    reply: Layout = Layout()
    body: Body = Body.NONE  # what follows the request
    reply_body: Body = Body.NONE  # what follows the reply
    since: int = 0
    until: int = 1 << 8
    feature: str = ""  # the feature that both sides must have named

    def present(self, context: Context) -> bool:
        """Whether that version of the protocol has the operation."""
        return self.since <= context.minor < self.until and (
            not self.feature or self.feature in context.features
        )

    def replies(self, result: Any) -> Sequence[Any]:
        """What a handler returned, as the reply's values: nothing, the one value, or a tuple of several."""
        count = sum(keeps(part) for part in self.reply.fields)
        if count == 1:
            return (result,)
        return result if count else ()


def row(
    number: int,
    name: str,
    request: Sequence[Field] = (),
    reply: Sequence[Field] = (),
    *,
    body: Body = Body.NONE,
    reply_body: Body = Body.NONE,
    since: int = 0,
    until: int = 1 << 8,
    feature: str = "",
) -> Operation:
    """A row, as the tables write it."""
    return Operation(
        number, name, Layout(tuple(request)), Layout(tuple(reply)), body, reply_body, since, until, feature
    )
