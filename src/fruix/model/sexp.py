"""S-expressions as libgcrypt and Guix write them: lists of byte strings and lists.

Two written forms: `canonical` (`(3:abc…)`, what libgcrypt is given) and `advanced`, the indented
text that `gcry_sexp_sprint` makes and Guix stores. The reader takes both, mixed as they come:
tokens, `"quoted"`, `#hex#`, `|base64|` and `LENGTH:bytes`. Linear; depth and size are limited.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TypeAlias

from fruix.errors import FormatError
from fruix.late import late_pattern

# A byte string is an atom; a tuple is a list.
Sexp: TypeAlias = "bytes | tuple[Sexp, ...]"

MAX_DEPTH = 32
MAX_SIZE = 1 << 20

_TOKEN = rb"[A-Za-z\-./_:*+=][A-Za-z0-9\-./_:*+=]*"
_PLAIN = late_pattern(_TOKEN)
_PRINTABLE = late_pattern(rb"[ !#-\[\]-~]*")  # without " and \
_LEXEME = late_pattern(
    rb"\s*(?:(?P<open>\()|(?P<close>\))|(?P<length>\d{1,7}):|(?P<token>" + _TOKEN + rb")"
    rb'|#(?P<hex>[0-9A-Fa-f\s]*)#|\|(?P<base64>[A-Za-z0-9+/=\s]*)\||"(?P<quoted>(?:[^"\\]|\\.)*)")',
    re.DOTALL,
)
_ESCAPE = late_pattern(rb"\\(x[0-9A-Fa-f]{2}|[0-7]{3}|\r\n|\n\r|.)", re.DOTALL)
_ESCAPED = {b"b": b"\b", b"t": b"\t", b"v": b"\v", b"n": b"\n", b"f": b"\f", b"r": b"\r"}
_LINE_ENDS = frozenset({b"\n", b"\r", b"\r\n", b"\n\r"})  # a line that goes on


def parse(data: bytes) -> Sexp:
    """Read one list, with nothing but white space after it.

    Raises:
        FormatError: it is none, or too deep or too long.
    """
    if len(data) > MAX_SIZE:
        raise FormatError(f"an s-expression of more than {MAX_SIZE} bytes")
    opened: list[list[Sexp]] = [[]]
    position = 0
    while len(opened) > 1 or not opened[0]:
        match = _LEXEME.match(data, position)
        if match is None:
            raise _wrong("neither a list nor an atom", position)
        position = match.end()
        if match["open"]:
            if len(opened) > MAX_DEPTH:
                raise _wrong(f"more than {MAX_DEPTH} lists within each other", position)
            opened.append([])
        elif match["close"]:
            if len(opened) == 1:
                raise _wrong("a list ends that didn't begin", position)
            done = tuple(opened.pop())
            opened[-1].append(done)
        else:
            atom, position = _atom(match, data, position)
            opened[-1].append(atom)
    found = opened[0][0]
    if not isinstance(found, tuple) or data[position:].strip(b" \t\r\n\v\f\0"):
        raise _wrong("one list is expected, and nothing after it", position)
    return found


def _atom(match: re.Match[bytes], data: bytes, position: int) -> tuple[bytes, int]:
    if match["length"] is not None:
        end = position + int(match["length"])
        if end > len(data):
            raise _wrong("it ends within an atom", position)
        return data[position:end], end
    if match["token"] is not None:
        return match["token"], position
    try:
        if match["hex"] is not None:
            return bytes.fromhex(match["hex"].decode("ascii")), position
        if match["base64"] is not None:
            return base64.b64decode(b"".join(match["base64"].split()), validate=True), position
    except (ValueError, binascii.Error):
        raise _wrong("digits that give no bytes", position) from None
    return _ESCAPE.sub(_unescaped, match["quoted"]), position


def _unescaped(match: re.Match[bytes]) -> bytes:
    what = match[1]
    if what in _LINE_ENDS:
        return b""
    if len(what) == 3:
        return bytes([int(what[1:], 16) if what[:1] == b"x" else int(what, 8) & 0xFF])
    return _ESCAPED.get(what, what)


def _wrong(why: str, position: int) -> FormatError:
    return FormatError(f"no s-expression: {why}", where=f"offset {position}")


def canonical(value: Sexp) -> bytes:
    """The form without white space, in which each atom has its length before it."""
    if isinstance(value, bytes):
        return b"%d:%s" % (len(value), value)
    return b"(" + b"".join(map(canonical, value)) + b")"


def advanced(value: Sexp) -> str:
    """The indented text, with a line end after it."""
    out: list[str] = []
    _indent(value, 0, out)
    return "".join([*out, "\n"])


def _indent(value: Sexp, depth: int, out: list[str]) -> None:
    if isinstance(value, bytes):
        out.append(_text(value))
        return
    line = "\n" + " " * (depth + 1)
    out.append("(")
    before: Sexp | None = None
    for item in value:
        if isinstance(item, tuple):
            out.append(f" {line}" if isinstance(before, bytes) else line)
        elif before is not None:
            out.append(" " if isinstance(before, bytes) else line)
        _indent(item, depth + 1, out)
        before = item
    if isinstance(before, tuple):
        out.append(line)
    out.append(")")


def _text(atom: bytes) -> str:
    if _PLAIN.fullmatch(atom):
        return atom.decode("ascii")
    if _PRINTABLE.fullmatch(atom):
        return f'"{atom.decode("ascii")}"'
    return f"#{atom.hex().upper()}#"


def find(value: Sexp, name: bytes) -> tuple[Sexp, ...] | None:
    """The first list, outermost first from the left, that begins with the atom `name`."""
    if not isinstance(value, tuple):
        return None
    if value[:1] == (name,):
        return value
    return next((found for item in value if (found := find(item, name)) is not None), None)
