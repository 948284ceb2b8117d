"""The greeting: who speaks which dialect, and what both sides know.

The daemon has to name its version before it has heard the client's, so it announces 1.100 to
everybody: clients of the Guix dialect see a daemon of their newest version, clients of the Nix
dialect take the smaller of both numbers. What the client then names decides: minor 0x60 and above
is Guix, anything below Nix (21 and later are served).

A client that is refused is told so in bytes that can be sent before it has said anything
(`refusal`).

Pure but for the `send` it is given; what can fail for other reasons than bytes belongs after it,
where it can be reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from fruix.dataclass import dataclass
from fruix.errors import FruixError, GuixDaemonError, ProtocolError
from fruix.protocol import numbers
from fruix.protocol.advice import in_words_of_nix
from fruix.protocol.compound import List
from fruix.protocol.messages import Code
from fruix.protocol.reader import Source
from fruix.protocol.wire import FEATURE, Context, Dialect, Text, read_string, write_string, write_u64

CLIENT_MAGIC, SERVER_MAGIC, MAJOR = numbers.CLIENT_MAGIC, numbers.SERVER_MAGIC, numbers.MAJOR
ANNOUNCED = (MAJOR << 8) | numbers.GUIX_NEWEST
# What a refusal announces: from version 1.26 on errors are records in the Nix dialect and plain in
# Guix's, and from 1.33 on Nix clients want to read more before it. Below both write their greeting
# and then read the same plain error.
REFUSING = (MAJOR << 8) | 25
# A greeting is small; a stranger at the socket gets no more.
BUDGET = 1 << 14

# Older clients send another greeting; nobody has them any more, and their requests would be refused
# anyway.
LEAST = 20
VERSION_SINCE = 33
TRUST_SINCE = 35
FEATURES_SINCE = 38
FEATURE_LIMIT = 256  # bytes
FEATURES_LIMIT = 64
_FEATURES = List(Text(FEATURE_LIMIT), FEATURES_LIMIT)

UNKNOWN, TRUSTED, NOT_TRUSTED = range(3)

Send = Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class Greeting:
    """What a client learns about the daemon."""

    context: Context
    daemon_version: str
    trusted: bool | None


def serve(source: Source, send: Send, *, directory: str, version: str, trusted: bool) -> Context:
    """The daemon's side, up to where the first messages (`Last` or an error) are due.

    Raises:
        ProtocolError: a peer that speaks something else.
    """
    source.expect(BUDGET)
    if source.u64() != CLIENT_MAGIC:
        raise ProtocolError("the peer's greeting is none of this protocol")
    send(_numbers(SERVER_MAGIC, ANNOUNCED))
    context = _understand(source.u64(), directory)
    if context.dialect is Dialect.NIX and context.minor >= FEATURES_SINCE:
        features = _agree(source, send, context)
        context = Context(context.dialect, context.minor, directory, features)
    if source.u64():
        source.u64()  # a processor to stay on; the system knows better
    source.u64()  # whether to keep a reserve of disk space; no client has asked otherwise
    if context.dialect is Dialect.NIX:
        send(_introduction(version, trusted, context))
    return context


def greet(source: Source, send: Send, *, directory: str) -> Greeting:
    """The client's side, in the Nix dialect.

    Raises:
        ProtocolError: a daemon that speaks something else, or a version that is too old.
        GuixDaemonError: it is Guix's, which `greet_guix` greets on another connection.
        FruixError: it refuses this client, and why.
    """
    source.expect(BUDGET)
    send(_numbers(CLIENT_MAGIC, (MAJOR << 8) | numbers.NIX_NEWEST))
    if source.u64() != SERVER_MAGIC:
        raise ProtocolError("what answers is no build daemon", hint="is this the daemon's socket?")
    number = source.u64()
    if number == REFUSING:
        raise _refused(source)
    if numbers.GUIX_OLDEST <= number & 0xFF < numbers.GUIX_NEWEST:
        raise _guix_answers()
    minor = min(number & 0xFF, numbers.NIX_NEWEST)
    if number >> 8 != MAJOR or minor < numbers.NIX_OLDEST_DAEMON:
        theirs, least = f"{number >> 8}.{number & 0xFF}", f"1.{numbers.NIX_OLDEST_DAEMON}"
        raise ProtocolError(f"the daemon speaks version {theirs}, older than {least}")
    context = Context(Dialect.NIX, minor, directory)
    features: frozenset[str] = frozenset()
    if minor >= FEATURES_SINCE:
        features = _offer(source, send, context)
    send(_numbers(0, 0))
    version = str(read_string(source, 256), "utf-8", "replace")
    trust = source.u64() if minor >= TRUST_SINCE else UNKNOWN
    known = {TRUSTED: True, NOT_TRUSTED: False}.get(trust)
    return Greeting(Context(Dialect.NIX, minor, directory, features), version, known)


def greet_guix(source: Source, send: Send, *, directory: str) -> Greeting:
    """The client's side with Guix's own daemon.

    Raises:
        ProtocolError: a daemon that speaks something else, or a version that is too old.
    """
    source.expect(BUDGET)
    send(_numbers(CLIENT_MAGIC, ANNOUNCED))
    magic, number = source.u64(), source.u64()
    if magic != SERVER_MAGIC or number >> 8 != MAJOR or number & 0xFF < numbers.GUIX_OLDEST:
        raise ProtocolError("what answers is no guix-daemon that is still in use")
    send(_numbers(0, 0))
    minor = min(number & 0xFF, numbers.GUIX_NEWEST)
    return Greeting(Context(Dialect.GUIX, minor, directory), "guix-daemon", None)


def refusal(message: str, hint: str = "") -> bytes:
    """Return all that a refused client is sent, whatever its dialect: greeting, error and reason.

    It says no version that a client could go on with, so nothing of the client's has to be read
    first.
    """
    sink = bytearray(_numbers(SERVER_MAGIC, REFUSING, Code.ERROR))
    write_string(sink, f"{message}\n{in_words_of_nix(hint)}".strip().encode("utf-8", "surrogateescape"))
    write_u64(sink, 1)  # the exit status of Guix's clients
    return bytes(sink)


def _refused(source: Source) -> FruixError:
    """The error that a refusal holds, behind its version.

    Its form is that of all old clients, one text: the hint is what stands below the first line.
    """
    if source.u64() != Code.ERROR:
        return ProtocolError("the daemon's refusal is malformed")
    message, _, hint = str(read_string(source, BUDGET), "utf-8", "replace").partition("\n")
    return FruixError(message, hint=hint)


def _understand(number: int, directory: str) -> Context:
    minor = number & 0xFF
    if number >> 8 != MAJOR or minor < LEAST:
        raise ProtocolError(f"the client speaks version {number >> 8}.{minor}, which is not served")
    if minor >= numbers.GUIX_OLDEST:
        return Context(Dialect.GUIX, min(minor, numbers.GUIX_NEWEST), directory)
    return Context(Dialect.NIX, min(minor, numbers.NIX_NEWEST), directory)


def _agree(source: Source, send: Send, context: Context) -> frozenset[str]:
    """Read the client's features; those that both have count. Only clients that know ours hear of them."""
    common = {FEATURE} & set(_FEATURES.parse(_FEATURES.read(source, context), context))
    send(_listed(common, context))
    return frozenset(common)


def _offer(source: Source, send: Send, context: Context) -> frozenset[str]:
    """Name the client's features, and read the daemon's; those that both have count."""
    send(_listed(numbers.OFFERED, context))
    count = source.u64()
    if count == Code.LAST:
        raise _guix_answers()
    if count > FEATURES_LIMIT:
        raise ProtocolError(f"the daemon names {count} features; at most {FEATURES_LIMIT} are read")
    named = [read_string(source, FEATURE_LIMIT) for _ in range(count)]
    return frozenset({FEATURE} & {str(name, "utf-8", "replace") for name in named})


def _listed(features: Iterable[str], context: Context) -> bytes:
    sink = bytearray()
    _FEATURES.write(sink, sorted(features), context)
    return bytes(sink)


def _guix_answers() -> GuixDaemonError:
    return GuixDaemonError("Guix's daemon answers", hint="its own clients speak its dialect")


def _introduction(version: str, trusted: bool, context: Context) -> bytes:
    sink = bytearray()
    if context.minor >= VERSION_SINCE:
        write_string(sink, version.encode())
    if context.minor >= TRUST_SINCE:
        write_u64(sink, TRUSTED if trusted else NOT_TRUSTED)
    return bytes(sink)


def _numbers(*values: int) -> bytes:
    return b"".join(value.to_bytes(8, "little") for value in values)
