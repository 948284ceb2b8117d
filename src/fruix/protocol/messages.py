"""The message loop: what a daemon says between a request and its reply.

A request is answered by messages up to `Last` (then the reply's fields follow) or `Failure` (then
nothing). The two dialects share the loop; activities exist in the Nix dialect only, and errors look
different by version: a message and a status up to minor 25 and in Guix, a record with traces from
26 on (which has no status).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

from fruix.dataclass import dataclass
from fruix.errors import ProtocolError
from fruix.overriding import override
from fruix.protocol import numbers
from fruix.protocol.compound import List, read_items
from fruix.protocol.reader import Source
from fruix.protocol.records import Field, Record
from fruix.protocol.wire import LEVEL, NAME, OCTETS, TEXT, U64, Codec, Constant, Context, Dialect

FIELDS_LIMIT = 1 << 10
TRACES_LIMIT = 1 << 10
RECORD_ERRORS_SINCE = 26


class Code(enum.IntEnum):
    """The number that a message begins with: it says which payload follows."""

    NEXT = 0x6F6C6D67
    READ = 0x64617461
    WRITE = 0x64617416
    LAST = numbers.LAST
    ERROR = 0x63787470
    START_ACTIVITY = 0x53545254
    STOP_ACTIVITY = 0x53544F50
    RESULT = 0x52534C54


@dataclass(frozen=True, slots=True)
class Next:
    """A text to show at once; in the Guix dialect any fragment, with its own line ends."""

    text: str


@dataclass(frozen=True, slots=True)
class Read:
    """Asks the client for at most that many bytes, as one string."""

    limit: int


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes for the client to keep."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Last:
    """The work is done: the reply's fields follow."""


@dataclass(frozen=True, slots=True)
class Failure:
    """The request failed; there is no reply. `status` is 1 where the version has none."""

    message: str
    status: int = 1
    traces: tuple[str, ...] = ()
    name: str = "Error"


@dataclass(frozen=True, slots=True)
class StartActivity:
    """Something begins; `parent` 0 is none."""

    id: int
    level: int
    type: int
    text: str
    fields: tuple[int | str, ...] = ()
    parent: int = 0


@dataclass(frozen=True, slots=True)
class StopActivity:
    """The activity with this number has ended."""

    id: int


@dataclass(frozen=True, slots=True)
class Result:
    """A report about the activity `id`; its `type` (`activities.ResultType`) says what `fields` hold."""

    id: int
    type: int
    fields: tuple[int | str, ...] = ()


Message = Next | Read | Write | Last | Failure | StartActivity | StopActivity | Result


_NUMBER_FOLLOWS, _TEXT_FOLLOWS = (tag.to_bytes(8, "little") for tag in range(2))


class _Values(Codec[tuple[int | str, ...]]):
    """A list of numbers (tag 0) and texts (tag 1)."""

    __slots__ = ()

    @override
    def read(self, source: Source, context: Context) -> list[tuple[Codec[Any], Any]]:
        def value() -> tuple[Codec[Any], Any]:
            tag = source.u64()
            if tag > 1:
                raise ProtocolError(f"unknown kind of field {tag}")
            codec: Codec[Any] = TEXT if tag else U64
            return codec, codec.read(source, context)

        return read_items(source, FIELDS_LIMIT, value)

    @override
    def parse(self, raw: Any, context: Context) -> tuple[int | str, ...]:
        return tuple([codec.parse(data, context) for codec, data in raw])

    @override
    def write(self, sink: bytearray, value: tuple[int | str, ...], context: Context) -> None:
        # Without a call for each: those were a third of what it cost to tell a client of a build.
        sink += len(value).to_bytes(8, "little")
        for each in value:
            if isinstance(each, str):
                sink += _TEXT_FOLLOWS
                TEXT.write(sink, each, context)
            else:
                sink += _NUMBER_FOLLOWS
                sink += each.to_bytes(8, "little")


_VALUES = _Values()

# The payloads.
_RECORDS: Mapping[Code, Record[Any]] = {
    Code.NEXT: Record(Next, (Field("text", TEXT),)),
    Code.READ: Record(Read, (Field("limit", U64),)),
    Code.WRITE: Record(Write, (Field("data", OCTETS),)),
    Code.LAST: Record(Last),
    Code.START_ACTIVITY: Record(
        StartActivity,
        (
            Field("id", U64),
            Field("level", LEVEL),
            Field("type", U64),
            Field("text", TEXT),
            Field("fields", _VALUES),
            Field("parent", U64),
        ),
    ),
    Code.STOP_ACTIVITY: Record(StopActivity, (Field("id", U64),)),
    Code.RESULT: Record(Result, (Field("id", U64), Field("type", U64), Field("fields", _VALUES))),
}
_HEADS = {record.make: (code.to_bytes(8, "little"), record) for code, record in _RECORDS.items()}


class _NoPosition(Constant):
    """The number that says that an error or a line of its trace has no source position."""

    __slots__ = ()

    @override
    def read(self, source: Source, context: Context) -> None:
        if source.u64():
            raise ProtocolError("an error with a source position, which no version sends")


_NO_POSITION = _NoPosition(0)


class _Trace(Codec[str]):
    """One line of an error's trace: a position (never there) and the text."""

    __slots__ = ()

    @override
    def read(self, source: Source, context: Context) -> Any:
        _NO_POSITION.read(source, context)
        return TEXT.read(source, context)

    @override
    def parse(self, raw: Any, context: Context) -> str:
        return TEXT.parse(raw, context)

    @override
    def write(self, sink: bytearray, value: str, context: Context) -> None:
        _NO_POSITION.write(sink, None, context)
        TEXT.write(sink, value, context)


_PLAIN_ERROR = Record(Failure, (Field("message", TEXT), Field("status", U64)))
_RECORD_ERROR = Record(
    Failure,
    (
        Field("type", Constant("Error", NAME)),
        Field("level", Constant(0)),
        Field("name", NAME),
        Field("message", TEXT),
        Field("position", _NO_POSITION),
        Field("traces", List(_Trace(), TRACES_LIMIT)),
    ),
)


def encode(message: Message, context: Context) -> bytes:
    """Return a message's bytes, in the form that the session's version has."""
    sink = bytearray()
    write(sink, message, context)
    return bytes(sink)


def write_head(size: int) -> bytes:
    """What comes before the `size` bytes of a `Write`; zeros up to a multiple of 8 follow them."""
    return Code.WRITE.to_bytes(8, "little") + size.to_bytes(8, "little")


def write(sink: bytearray, message: Message, context: Context) -> None:
    """Append a message, in the form that the session's version has."""
    if isinstance(message, Failure):
        sink += _ERROR_FOLLOWS
        _record(Code.ERROR, context).write(sink, message, context)
    else:
        head, record = _HEADS[type(message)]
        sink += head
        record.write(sink, message, context)


def read(source: Source, context: Context) -> Message:
    """Return the next message.

    Raises:
        ProtocolError: a code that no message has, or a payload that is none.
    """
    code = source.u64()
    if code != Code.ERROR and code not in _RECORDS:
        raise ProtocolError(
            f"message code {code:#x}, which there is not", hint="is this a build daemon's socket?"
        )
    record = _record(Code(code), context)
    message: Message = record.parse(record.read(source, context), context)
    return message


def _record(code: Code, context: Context) -> Record[Any]:
    if code is not Code.ERROR:
        return _RECORDS[code]
    with_traces = context.dialect is Dialect.NIX and context.minor >= RECORD_ERRORS_SINCE
    return _RECORD_ERROR if with_traces else _PLAIN_ERROR


LAST = Code.LAST.to_bytes(8, "little")
_ERROR_FOLLOWS = Code.ERROR.to_bytes(8, "little")
