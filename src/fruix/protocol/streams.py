"""Streams behind a request or a reply: archives without a length, framed data, several objects.

All of them are read piece by piece as they arrive; none is held in memory. A framed stream can be
left behind after any error (`FramedSource.drain`); an archive that breaks its own syntax can't,
since nothing else says where it ends.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

from fruix.errors import BadNarError, ObjectRejectedError, ProtocolError
from fruix.model.nar.read import NarReader
from fruix.model.nar.stream_events import FileData, FileEnd, FileStart
from fruix.model.pathinfo import PathInfo
from fruix.model.text_object import Text
from fruix.protocol.model_codecs import KEYED_INFO, PATHS
from fruix.protocol.reader import CHUNK, FramedSource, Source
from fruix.protocol.records import Body, Field, Record
from fruix.protocol.wire import NAME, OCTETS, Context, read_string, write_u64

# How many objects one stream may announce; they are handled one by one, so it bounds nothing but
# nonsense.
OBJECTS_LIMIT = 10_000_000
# How much a client is asked for at once. Each question costs a turn of both sides; guix-daemon asks
# for 32 KiB.
PIECE = 1 << 18
# Bytes of texts from which on they are sent.
_TOGETHER = 1 << 15


class NarBody:
    """An archive written as it is; read it to its end by `chunks` or `drain`."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._reader = NarReader()
        self._broken: BadNarError | None = None

    def chunks(self) -> Iterator[bytes]:
        """The archive's bytes, never one beyond its end.

        Raises:
            BadNarError: malformed; the source is then somewhere in the middle.
        """
        done = self._reader.done
        while not done:
            data = self._source.read_some(CHUNK)
            self._follow(data)
            done = self._reader.done
            if rest := self._reader.leftover:
                self._source.unread(rest)
                data = data[: len(data) - len(rest)]
            yield data

    def drain(self) -> None:
        """Read and drop the rest.

        Raises:
            ProtocolError: malformed, so that the connection can't go on.
        """
        if self._broken is None:
            with suppress(BadNarError):
                deque(self.chunks(), maxlen=0)
        if self._broken is not None:
            raise ProtocolError(f"can't go on behind a malformed archive: {self._broken}")

    def _follow(self, data: bytes) -> None:
        try:
            deque(self._reader.feed(data), maxlen=0)
        except BadNarError as error:
            self._broken = error
            raise


class AskedSource(Source):
    """A stream that the client sends in pieces, each when it is asked for one.

    Bytes of the last piece behind what was read are dropped. Nothing else may be told the client
    between the question and its answer, so the questions come only from reading.
    """

    __slots__ = ("_broken", "_outer", "_question")

    def __init__(self, outer: Source, ask: Callable[[int], None]) -> None:
        """`ask` sends the question for so many bytes at most."""
        super().__init__(self._next, outer.account)
        self._outer = outer
        self._question = ask
        self._broken: ProtocolError | None = None

    def chunks(self) -> Iterator[bytes]:
        """Yield nothing: only the reader of such a stream knows where it ends."""
        return iter(())

    def drain(self) -> None:
        """Read nothing: the client sends what it is asked for.

        Raises:
            ProtocolError: it sent something else, so that the connection can't go on.
        """
        if self._broken is not None:
            raise self._broken

    def _next(self, _limit: int) -> bytes:
        self._question(PIECE)
        self._outer.expect()
        try:
            data = read_string(self._outer, PIECE)
        except ProtocolError as error:
            self._broken = error
            raise
        self._outer.release()
        if not data:
            raise ProtocolError("unexpected end-of-file")
        return data


class NoBody:
    """Stands for the stream of a request that has none."""

    def chunks(self) -> Iterator[bytes]:
        """Yield nothing: no stream follows such a request."""
        return iter(())

    def drain(self) -> None:
        """Return at once: there is nothing to read."""


NO_BODY = NoBody()
RequestBody = FramedSource | NarBody | AskedSource | NoBody


def request_body(kind: Body, source: Source, ask: Callable[[int], None]) -> RequestBody:
    """The stream that follows a request's fields; `ask` sends a question for a piece of it."""
    if kind is Body.FRAMED:
        return FramedSource(source)
    if kind is Body.MESSAGES:
        return AskedSource(source, ask)
    return NarBody(source) if kind is Body.NAR else NO_BODY


def flat_contents(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes of the one regular file that an archive holds.

    Raises:
        ObjectRejectedError: it holds something else.
    """
    reader = NarReader()
    for chunk in chunks:
        for event in reader.feed(chunk):
            if isinstance(event, FileData):
                yield bytes(event.data)
            elif not isinstance(event, FileStart | FileEnd):
                raise ObjectRejectedError("regular file expected")
    reader.finish()


def read_objects(stream: Source, context: Context) -> Iterator[tuple[PathInfo, NarBody]]:
    """Yield the objects of one stream (AddMultipleToStore), each with its archive.

    An archive has to be read before the next object is asked for.

    Raises:
        ProtocolError: more of them announced than can be meant.
        MemoryLimitError: one's info takes more memory than its sender may use.
    """
    stream.expect()
    count = stream.u64()
    if count > OBJECTS_LIMIT:
        raise ProtocolError(f"{count} objects announced, at most {OBJECTS_LIMIT} are allowed")
    for _ in range(count):
        stream.expect()
        stream.release()
        raw = KEYED_INFO.read(stream, context)
        stream.check()
        info = KEYED_INFO.parse(raw, context)
        body = NarBody(stream)
        yield info, body
        body.drain()


_TEXT = Record(Text, (Field("name", NAME), Field("contents", OCTETS), Field("references", PATHS)))


def read_texts(stream: Source, count: int, context: Context) -> Iterator[Text]:
    """Yield the texts of one stream (AddTexts); what they hold is the caller's until it asks for the next.

    Raises:
        MemoryLimitError: one takes more memory than its sender may use.
    """
    for _ in range(count):
        stream.expect()
        stream.release()
        raw = _TEXT.read(stream, context)
        stream.check()
        yield _TEXT.parse(raw, context)


def write_texts(texts: Iterable[Text], context: Context) -> Iterator[bytes]:
    """The inverse, before framing: many small texts in one piece, each of which is a frame."""
    piece = bytearray()
    for text in texts:
        _TEXT.write(piece, text, context)
        if len(piece) >= _TOGETHER:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece)


def write_objects(
    objects: Iterable[tuple[PathInfo, Iterable[bytes]]], count: int, context: Context
) -> Iterator[bytes]:
    """The inverse of `read_objects`, before framing."""
    head = bytearray()
    write_u64(head, count)
    yield bytes(head)
    for info, chunks in objects:
        head.clear()
        KEYED_INFO.write(head, info, context)
        yield bytes(head)
        yield from chunks
