"""Text for terminals: builders' output made harmless, colours.

Log lines come from builders and may hold any bytes. On a terminal only tabs, printable characters
and colours (SGR) pass; everything else, C1 controls included, is shown escaped, so that no builder
moves the cursor, sets titles or talks to the clipboard.
"""

from __future__ import annotations

import os
import re
from typing import TextIO

from fruix.late import late_pattern

# Colours and the like; not what hides text (8: concealed). After 38 and 48 come the numbers of a
# colour, where 8 is one.
_PARAMETER = r"(?!0*8[;m])(?:[34]8;(?:5;\d{1,3}|2(?:;\d{1,3}){3})|\d{0,3})"
_SGR = late_pattern(rf"\x1b\[{_PARAMETER}(?:;{_PARAMETER}){{0,15}}m")
_CONTROL = late_pattern(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
RESET = "\x1b[0m"
STYLES = {
    "bold": "\x1b[1m",
    "dim": "\x1b[2m",
    "red": "\x1b[31m",
    "green": "\x1b[32m",
    "yellow": "\x1b[33m",
    "cyan": "\x1b[36m",
}


def harmless(line: str, *, colour: bool) -> str:
    """A line of a builder as it may be shown; keeps its colours only if `colour`."""
    if not colour:
        return _CONTROL.sub(_escaped, without_colour(line))
    text = only_text(line)
    return text + RESET if _SGR.search(text) else text


def only_text(text: str) -> str:
    """Any text as it may reach a terminal: lines, tabs and colours."""
    if not _CONTROL.search(text):
        return text
    kept: list[str] = []
    last = 0
    for match in _SGR.finditer(text):
        kept += [_CONTROL.sub(_escaped, text[last : match.start()]), match[0]]
        last = match.end()
    return "".join([*kept, _CONTROL.sub(_escaped, text[last:])])


def without_colour(line: str) -> str:
    """A line without the sequences that set colours."""
    return _SGR.sub("", line)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def wants_colour(stream: TextIO) -> bool:
    """Whether colours suit `stream`: a terminal, not dumb, and NO_COLOR unset."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def width(stream: TextIO) -> int | None:
    """The columns of a terminal: `COLUMNS`, else what it says itself; None if it is none."""
    if not stream.isatty():
        return None
    wanted = os.environ.get("COLUMNS", "")
    if wanted.isascii() and wanted.isdecimal() and int(wanted) > 0:
        return int(wanted)
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except OSError:
        return None


def speaks_utf8(stream: TextIO) -> bool:
    """Whether more than ASCII can be written to `stream`."""
    encoding = getattr(stream, "encoding", None)
    if not encoding:
        import locale  # noqa: PLC0415 - streams have one

        encoding = locale.getpreferredencoding(do_setlocale=False)
    return encoding.lower().replace("-", "") == "utf8"


def styled(text: str, style: str, *, colour: bool) -> str:
    """`text` in a style of `STYLES`, if colours are wanted."""
    return f"{STYLES[style]}{text}{RESET}" if colour else text
