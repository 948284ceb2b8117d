"""A command's standard streams as they are found: closed, not in UTF-8, full, or a terminal.

Whatever a command prints reaches a terminal as text (see `terminal`): also what nobody thought of,
such as a name with control characters in an error of the system. What draws on the terminal itself
asks for `unfiltered`. A character that the stream's encoding lacks is written otherwise instead of
ending the command; undecodable bytes of names are written as they were where no terminal reads
them.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import sys
from collections.abc import Iterable
from typing import Any, TextIO, cast

from fruix.cli.output.terminal import harmless, only_text, wants_colour
from fruix.overriding import override

# In ASCII; characters that aren't here are escaped.
_OTHERWISE = dict(zip("…→·└├│─●○↓", ("...", "->", "-", "`", "|", "|", "-", "*", "o", "v"), strict=True))
_ESCAPE_ALL, _KEEP_BYTES = "fruix-terminal", "fruix-bytes"
_SURROGATES = range(0xDC80, 0xDD00)


def prepare() -> None:
    """Make the three streams usable.

    What is closed becomes /dev/null, so that nothing that is opened later takes its place.
    """
    for number, mode in enumerate((os.O_RDONLY, os.O_WRONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)  # the lowest number that is free, which is this one
    codecs.register_error(_ESCAPE_ALL, _escape_all)
    codecs.register_error(_KEEP_BYTES, _keep_bytes)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - as long as the process
    sys.stdout, sys.stderr = (
        _prepared(stream, number) for number, stream in ((1, sys.stdout), (2, sys.stderr))
    )


def _prepared(stream: TextIO | None, number: int) -> TextIO:
    if stream is None:
        return open(number, "w", encoding="utf-8", errors=_KEEP_BYTES, closefd=False)
    text = cast("io.TextIOWrapper", stream)
    if not text.isatty():
        text.reconfigure(errors=_KEEP_BYTES)
        return text
    encoding, by_line = text.encoding, text.line_buffering or number == 2
    return _Terminal(text.detach(), encoding=encoding, errors=_ESCAPE_ALL, line_buffering=by_line)


class _Terminal(io.TextIOWrapper):
    """A terminal that gets nothing but text and colours."""

    @override
    def write(self, text: str) -> int:
        super().write(only_text(text))
        return len(text)

    @property
    def unfiltered(self) -> Any:
        """The same stream for what draws on the terminal."""
        return _Unfiltered(self)


class _Unfiltered:
    def __init__(self, terminal: _Terminal) -> None:
        self._terminal = terminal

    def write(self, text: str) -> int:
        return io.TextIOWrapper.write(self._terminal, text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._terminal, name)


def unfiltered(stream: TextIO) -> TextIO:
    """A stream that writes to the same place, control characters too."""
    return cast("TextIO", getattr(stream, "unfiltered", stream))


def _escape_all(error: UnicodeError) -> tuple[str, int]:
    text, start = _lacking(error)
    code = ord(text)
    if code in _SURROGATES:
        return f"\\x{code - 0xDC00:02x}", start + 1
    return _OTHERWISE.get(text) or text.encode("ascii", "backslashreplace").decode("ascii"), start + 1


def _keep_bytes(error: UnicodeError) -> tuple[str | bytes, int]:
    text, start = _lacking(error)
    code = ord(text)
    return (bytes([code - 0xDC00]), start + 1) if code in _SURROGATES else _escape_all(error)


def _lacking(error: UnicodeError) -> tuple[str, int]:
    """The character that can't be encoded, and its place."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return error.object[error.start], error.start


def write_bytes(chunks: Iterable[bytes], *, raw: bool) -> None:
    """Write bytes that a builder made to standard output.

    As they are if `raw`, or where no terminal reads them; else as lines of harmless text.
    """
    sys.stdout.flush()
    if raw or not sys.stdout.isatty():
        for chunk in chunks:
            sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
        return
    colour = wants_colour(sys.stdout)
    partial = b""
    for chunk in chunks:
        *lines, partial = (partial + chunk).split(b"\n")
        for line in lines:
            print(harmless(line.decode("utf-8", "replace"), colour=colour))
    if partial:
        print(harmless(partial.decode("utf-8", "replace"), colour=colour))


def flushed(status: int) -> int:
    """Write out what is left; returns the status of the command.

    Another one than `status` if it can't be written: 141 if nobody reads it any more.
    """
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            stream.flush()
        except OSError as error:
            failed = not_written(number, error)
            status = status or failed
    return status


def not_written(number: int, error: OSError) -> int:
    """Say that output can't be written, and write no more of it; returns the exit status."""
    give_up_on(number)
    if isinstance(error, BrokenPipeError):
        return 141
    with contextlib.suppress(OSError):
        print(f"fruix: error: the output can't be written: {error.strerror}", file=sys.stderr)
    return 1


def give_up_on(number: int) -> None:
    """Send the stream to /dev/null, so that the interpreter can flush what is left at its end."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, number)
    os.close(null)
