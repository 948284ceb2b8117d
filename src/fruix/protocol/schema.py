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

from fruix.protocol.reader import Source
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


class Plan:
    """The fields of one version, worked out once: what a message is read and written with.

    `kept` has the place of each value-carrying field among those present, its name and its parser.
    """

    __slots__ = ("kept", "reads", "writes")

    def __init__(self, fields: Sequence[Field], context: Context) -> None:
        present = [part for part in fields if part.present(context)]
        self.reads = [part.codec.read for part in present]
        self.writes = [(part.name if keeps(part) else "", part.codec.write) for part in present]
        self.kept = [
            (place, part.name, part.codec.parse) for place, part in enumerate(present) if keeps(part)
        ]

    def read(self, source: Source, context: Context) -> list[Any]:
        """The raw form of all fields."""
        return [read(source, context) for read in self.reads]


class Plans(dict[int, Plan]):
    """The plans of one row, by minor version; each is made when it is first asked for."""

    def of(self, fields: Sequence[Field], context: Context) -> Plan:
        """The plan for a session's version."""
        plan = self.get(context.minor)
        if plan is None:
            plan = self[context.minor] = Plan(fields, context)
        return plan


@dataclass(frozen=True, slots=True)
class Record(Generic[T]):
    """Fields one after the other, as the attributes of one object; the names of constants don't matter."""

    make: Callable[..., T]
    fields: tuple[Field, ...] = field(default=())
    _plans: Plans = field(default_factory=Plans, init=False, compare=False, repr=False)

    def read(self, source: Source, context: Context) -> list[Any]:
        """See `Codec`."""
        return self._plans.of(self.fields, context).read(source, context)

    def parse(self, raw: Any, context: Context) -> T:
        """See `Codec`."""
        kept = self._plans.of(self.fields, context).kept
        return self.make(**{name: parse(raw[place], context) for place, name, parse in kept})

    def write(self, sink: bytearray, value: T, context: Context) -> None:
        """See `Codec`."""
        for name, write in self._plans.of(self.fields, context).writes:
            write(sink, getattr(value, name) if name else None, context)


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
    _plans: Plans = field(default_factory=Plans, init=False, compare=False, repr=False)

    @property
    def values(self) -> int:
        """How many values a message carries, in any version."""
        return sum(keeps(part) for part in self.fields)

    def read(self, source: Source, context: Context) -> list[Any]:
        """The raw form of all fields; a `ProtocolError` here ends the connection."""
        return self._plans.of(self.fields, context).read(source, context)

    def parse(self, raw: Sequence[Any], context: Context) -> tuple[Any, ...]:
        """The values, in the order of the row; a `FruixError` here ends the request only."""
        kept = self._plans.of(self.fields, context).kept
        if len(kept) == len(self.fields):
            return tuple([parse(raw[place], context) for place, _, parse in kept])
        found = {name: parse(raw[place], context) for place, name, parse in kept}
        return tuple([found.get(part.name, part.default) for part in self.fields if keeps(part)])

    def write(self, sink: bytearray, values: Sequence[Any], context: Context) -> None:
        """Append a message; `values` as `parse` gives them.

        Raises:
            ValueError: not as many values as the row has.
        """
        writes = self._plans.of(self.fields, context).writes
        if len(values) == len(self.fields) == len(writes) and all(name for name, _ in writes):
            for value, (_, write) in zip(values, writes, strict=True):
                write(sink, value, context)
            return
        names = [part.name for part in self.fields if keeps(part)]
        if len(names) > len(values):
            raise ValueError(f"no value for field '{names[len(values)]}'")
        if len(names) < len(values):
            raise ValueError("more values than fields")
        by_name = dict(zip(names, values, strict=True))
        for name, write in writes:
            write(sink, by_name[name] if name else None, context)


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
    reply_values: int = 0

    def present(self, context: Context) -> bool:
        """Whether that version of the protocol has the operation."""
        return self.since <= context.minor < self.until and (
            not self.feature or self.feature in context.features
        )

    def replies(self, result: Any) -> Sequence[Any]:
        """What a handler returned, as the reply's values: nothing, the one value, or a tuple of several."""
        if self.reply_values == 1:
            return (result,)
        return result if self.reply_values else ()


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
    answer = Layout(tuple(reply))
    return Operation(
        number, name, Layout(tuple(request)), answer, body, reply_body, since, until, feature, answer.values
    )
