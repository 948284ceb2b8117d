"""The message loop: what a daemon says between a request and its reply.

A request is answered by messages up to `Last` (then the reply's fields follow) or `Failure` (then nothing). The two dialects
share the loop; activities exist in the Nix dialect only, and errors look different by version: a message and a status up
to minor 25 and in Guix, a record with traces from 26 on (which has no status).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fruix.errors import ProtocolError
from fruix.protocol.reader import Source
from fruix.protocol.schema import Field, Layout
from fruix.protocol.wire import NAME, OCTETS, TEXT, U64, Codec, Constant, Context, Dialect, List, write_u64

FIELDS_LIMIT = 1 << 10
TRACES_LIMIT = 1 << 10
RECORD_ERRORS_SINCE = 26


class Code(enum.IntEnum):
    """What a message begins with."""

    NEXT = 0x6F6C6D67
    READ = 0x64617461
    WRITE = 0x64617416
    LAST = 0x616C7473
    ERROR = 0x63787470
    START_ACTIVITY = 0x53545254
    STOP_ACTIVITY = 0x53544F50
    RESULT = 0x52534C54


class ActivityType(enum.IntEnum):
    """Kinds of activities (Nix)."""

    UNKNOWN = 0
    COPY_PATH = 100
    FILE_TRANSFER = 101
    REALISE = 102
    COPY_PATHS = 103
    BUILDS = 104
    BUILD = 105
    OPTIMISE_STORE = 106
    VERIFY_PATHS = 107
    SUBSTITUTE = 108
    QUERY_PATH_INFO = 109
    POST_BUILD_HOOK = 110
    BUILD_WAITING = 111
    FETCH_TREE = 112


class ResultType(enum.IntEnum):
    """What an activity can report (Nix)."""

    FILE_LINKED = 100
    BUILD_LOG_LINE = 101
    UNTRUSTED_PATH = 102
    CORRUPTED_PATH = 103
    SET_PHASE = 104
    PROGRESS = 105
    SET_EXPECTED = 106
    POST_BUILD_LOG_LINE = 107
    FETCH_STATUS = 108
    # Ours, to clients that named our feature only: one event as JSON.
    EVENT = 0x46520001


class Level(enum.IntEnum):
    """How important a text is (Nix's scale)."""

    ERROR = 0
    WARN = 1
    NOTICE = 2
    INFO = 3
    TALKATIVE = 4
    CHATTY = 5
    DEBUG = 6
    VOMIT = 7


@dataclass(frozen=True, slots=True)
class Next:
    """Text to show."""

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
    """The reply follows."""


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
    """It has ended."""

    id: int


@dataclass(frozen=True, slots=True)
class Result:
    """Something about an activity."""

    id: int
    type: int
    fields: tuple[int | str, ...] = ()


Message = Next | Read | Write | Last | Failure | StartActivity | StopActivity | Result


class _Value:
    """A number (tag 0) or a text (tag 1)."""

    def read(self, source: Source, context: Context) -> tuple[Codec[Any], Any]:
        """See `Codec`."""
        tag = source.u64()
        if tag > 1:
            raise ProtocolError(f"unknown kind of field {tag}")
        codec: Codec[Any] = TEXT if tag else U64
        return codec, codec.read(source, context)

    def parse(self, raw: Any, context: Context) -> int | str:
        """See `Codec`."""
        codec, data = raw
        value: int | str = codec.parse(data, context)
        return value

    def write(self, sink: bytearray, value: int | str, context: Context) -> None:
        """See `Codec`."""
        tag = int(isinstance(value, str))
        write_u64(sink, tag)
        codec: Codec[Any] = TEXT if tag else U64
        codec.write(sink, value, context)


_VALUES = List(_Value(), FIELDS_LIMIT)

# The payloads, by class; values are the class's fields in this order.
_LAYOUTS: Mapping[Code, tuple[type[Any], Layout]] = {
    Code.NEXT: (Next, Layout((Field("text", TEXT),))),
    Code.READ: (Read, Layout((Field("limit", U64),))),
    Code.WRITE: (Write, Layout((Field("data", OCTETS),))),
    Code.LAST: (Last, Layout()),
    Code.START_ACTIVITY: (
        StartActivity,
        Layout(
            (
                Field("id", U64),
                Field("level", U64),
                Field("type", U64),
                Field("text", TEXT),
                Field("fields", _VALUES),
                Field("parent", U64),
            )
        ),
    ),
    Code.STOP_ACTIVITY: (StopActivity, Layout((Field("id", U64),))),
    Code.RESULT: (Result, Layout((Field("id", U64), Field("type", U64), Field("fields", _VALUES)))),
}
_CODES = {kind: code for code, (kind, _) in _LAYOUTS.items()}
_PLAIN_ERROR = Layout((Field("message", TEXT), Field("status", U64)))


@dataclass(frozen=True, slots=True)
class _Trace:
    """One line of an error's trace: a position (never there) and the text."""

    def read(self, source: Source, context: Context) -> Any:
        """See `Codec`."""
        _no_position(source)
        return TEXT.read(source, context)

    def parse(self, raw: Any, context: Context) -> str:
        """See `Codec`."""
        return TEXT.parse(raw, context)

    def write(self, sink: bytearray, value: str, context: Context) -> None:
        """See `Codec`."""
        write_u64(sink, 0)
        TEXT.write(sink, value, context)


def _no_position(source: Source) -> None:
    if source.u64():
        raise ProtocolError("an error with a source position, which no version sends")


class _Position:
    """The number that says that an error has no source position."""

    def read(self, source: Source, _context: Context) -> None:
        """See `Codec`."""
        _no_position(source)

    def parse(self, _raw: Any, _context: Context) -> int:
        """See `Codec`."""
        return 0

    def write(self, sink: bytearray, _value: int, _context: Context) -> None:
        """See `Codec`."""
        write_u64(sink, 0)


_RECORD_ERROR = Layout(
    (
        Field("type", NAME),
        Field("level", Constant(0)),
        Field("name", NAME),
        Field("message", TEXT),
        Field("position", _Position()),
        Field("traces", List(_Trace(), TRACES_LIMIT)),
    )
)


def encode(message: Message, context: Context) -> bytes:
    """A message's bytes."""
    sink = bytearray()
    write(sink, message, context)
    return bytes(sink)


def write(sink: bytearray, message: Message, context: Context) -> None:
    """Append a message."""
    if isinstance(message, Failure):
        write_u64(sink, Code.ERROR)
        if _record_errors(context):
            _RECORD_ERROR.write(sink, ("Error", message.name, message.message, 0, message.traces), context)
        else:
            _PLAIN_ERROR.write(sink, (message.message, message.status), context)
        return
    code = _CODES[type(message)]
    write_u64(sink, code)
    _, layout = _LAYOUTS[code]
    layout.write(sink, [getattr(message, part.name) for part in layout.fields], context)


def read(source: Source, context: Context) -> Message:
    """The next message.

    Raises:
        ProtocolError: a code that no message has, or a payload that is none.
    """
    code = source.u64()
    if code == Code.ERROR:
        return _read_error(source, context)
    if code not in _LAYOUTS:
        raise ProtocolError(
            f"message code {code:#x}, which there is not", hint="is this a build daemon's socket?"
        )
    kind, layout = _LAYOUTS[Code(code)]
    message: Message = kind(*layout.parse(layout.read(source, context), context))
    return message


def _read_error(source: Source, context: Context) -> Failure:
    if not _record_errors(context):
        message, status = _PLAIN_ERROR.parse(_PLAIN_ERROR.read(source, context), context)
        return Failure(message, status)
    values = _RECORD_ERROR.parse(_RECORD_ERROR.read(source, context), context)
    _, name, text, _, traces = values
    return Failure(text, traces=traces, name=name)


def _record_errors(context: Context) -> bool:
    return context.dialect is Dialect.NIX and context.minor >= RECORD_ERRORS_SINCE


LAST = Code.LAST.to_bytes(8, "little")
