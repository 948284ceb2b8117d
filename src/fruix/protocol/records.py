"""Fields put together: records (one object's fields) and operations (a request and its reply).

These are the columns of the tables in `nix` and `guix`. The same row serves both ends: the daemon
reads requests and writes replies, a client the other way round. A request is a value of a class of
its own, whose attributes are the fields of its row. Which fields a message has follows from the
minor version agreed on; an attribute that a version doesn't carry has its class's default, so that
handlers see one shape. Constants carry no value.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar, dataclass_transform

from fruix.dataclass import dataclass, field
from fruix.overriding import override
from fruix.protocol.reader import Source
from fruix.protocol.wire import Codec, Constant, Context, Number

T = TypeVar("T")
R_co = TypeVar("R_co", covariant=True)
S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Field:
    """A named part of a record; `since` is the first minor version that has it."""

    name: str
    codec: Codec[Any]
    since: int = 0


class Plan:
    """The fields of one version, worked out once: what a record is read and written with.

    `kept` has the place of each value-carrying field among those present, its name and its parser. What
    writes a plain number is None: most fields are, and a call for each costs more than to write it.
    """

    __slots__ = ("kept", "reads", "writes")

    def __init__(self, fields: Sequence[Field], context: Context) -> None:
        present = [part for part in fields if part.since <= context.minor]
        self.reads = [part.codec.read for part in present]
        self.writes = [
            (part.name if keeps(part) else "", None if isinstance(part.codec, Number) else part.codec.write)
            for part in present
        ]
        self.kept = [
            (place, part.name, part.codec.parse) for place, part in enumerate(present) if keeps(part)
        ]


@dataclass(frozen=True, slots=True)
class Record(Codec[T]):
    """Fields one after the other, as the attributes of one object; the names of constants don't matter."""

    make: Callable[..., T]
    fields: tuple[Field, ...] = ()
    # By minor version; each is made when it is first asked for.
    _plans: dict[int, Plan] = field(default_factory=dict, init=False, compare=False, repr=False)

    @override
    def read(self, source: Source, context: Context) -> list[Any]:
        plan = self._plans.get(context.minor) or self._plan(context)
        return [read(source, context) for read in plan.reads]

    @override
    def parse(self, raw: Any, context: Context) -> T:
        plan = self._plans.get(context.minor) or self._plan(context)
        return self.make(**{name: parse(raw[place], context) for place, name, parse in plan.kept})

    @override
    def write(self, sink: bytearray, value: T, context: Context) -> None:
        plan = self._plans.get(context.minor) or self._plan(context)
        for name, write in plan.writes:
            if write is None:
                sink += getattr(value, name).to_bytes(8, "little")
            else:
                write(sink, getattr(value, name) if name else None, context)

    def _plan(self, context: Context) -> Plan:
        """Make the plan for a session's version."""
        plan = self._plans[context.minor] = Plan(self.fields, context)
        return plan


def keeps(part: Field) -> bool:
    """Whether a field carries a value."""
    return not isinstance(part.codec, Constant)


class Body(enum.Enum):
    """What follows a request's or a reply's fields as a stream."""

    NONE = "none"
    FRAMED = "framed"  # pieces with lengths, ended by an empty one
    NAR = "nar"  # an archive as it is, whose syntax says where it ends
    MESSAGES = "messages"  # data within the message loop: READ with answers, or WRITE


@dataclass_transform(frozen_default=True)
class RequestType(type):
    """Makes the classes of requests: their annotations are their slots, in the order of arguments.

    They are used like frozen dataclasses. Those compile half a dozen methods a class, which took
    20 ms of every command's start for the tables of both dialects; these share the methods of
    their base.
    """

    def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> RequestType:
        """Make a class; the values that its body gives to attributes are their defaults."""
        names = tuple(body.get("__annotations__", ()))
        defaults = {name: body.pop(name) for name in names if name in body}
        made = {"__slots__": names, "__match_args__": names, "defaults": defaults}
        return super().__new__(cls, name, bases, body | made)


class Request(Generic[R_co], metaclass=RequestType):
    """Base of all requests; `R_co` is what the reply holds. A class's name is its operation's name."""

    if TYPE_CHECKING:
        __match_args__: ClassVar[tuple[str, ...]]
        defaults: ClassVar[Mapping[str, Any]]

    def __init__(self, *values: Any, **named: Any) -> None:
        names = self.__match_args__
        given = dict(zip(names, values, strict=False), **named)
        attributes = {**self.defaults, **given}
        if len(given) != len(values) + len(named) or attributes.keys() != set(names):
            raise TypeError(f"{type(self).__name__} takes ({', '.join(names)})")
        for name, value in attributes.items():
            object.__setattr__(self, name, value)

    @override
    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: '{name}' can't be set")

    @override
    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._values() == other._values()

    @override
    def __hash__(self) -> int:
        return hash((type(self), self._values()))

    @override
    def __repr__(self) -> str:
        pairs = zip(self.__match_args__, self._values(), strict=True)
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in pairs)})"

    def _values(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self.__match_args__)

    @classmethod
    def answered_by(
        cls, handler: Callable[[S, Self], R_co]
    ) -> tuple[type[Request[Any]], Callable[[S, Any], Any]]:
        """A row of a table of handlers: type checkers see that `handler` suits the request and its reply."""
        return cls, handler


class _Nothing(Codec[None]):
    """No bytes at all: the reply of operations that have none."""

    __slots__ = ()

    @override
    def read(self, source: Source, context: Context) -> None:
        return None

    @override
    def parse(self, raw: Any, context: Context) -> None:
        return None

    @override
    def write(self, sink: bytearray, value: Any, context: Context) -> None:
        return None


NOTHING = _Nothing()


@dataclass(frozen=True, slots=True)
class Operation:
    """A row: one operation in one dialect."""

    number: int
    kind: type[Request[Any]]
    request: Record[Request[Any]]
    reply: Codec[Any]
    body: Body = Body.NONE  # what follows the request
    reply_body: Body = Body.NONE  # what follows the reply
    since: int = 0
    before: int = 0  # the first minor version that has it no more, or in another form; 0: none
    feature: str = ""  # the feature that both sides must have named

    @property
    def name(self) -> str:
        """What the operation is called, also in the peers' sources."""
        return self.kind.__name__

    def present(self, context: Context) -> bool:
        """Whether that version of the protocol has the operation."""
        in_use = self.since <= context.minor and (not self.before or context.minor < self.before)
        return in_use and (not self.feature or self.feature in context.features)


def row(
    number: int,
    kind: type[Request[Any]],
    fields: Sequence[Field] = (),
    reply: Codec[Any] = NOTHING,
    *,
    body: Body = Body.NONE,
    reply_body: Body = Body.NONE,
    since: int = 0,
    before: int = 0,
    feature: str = "",
) -> Operation:
    """A row, as the tables write it: `fields` are the request's on the wire, in their order."""
    request = Record(kind, tuple(fields))
    return Operation(number, kind, request, reply, body, reply_body, since, before, feature)
