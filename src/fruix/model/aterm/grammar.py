"""What the parser and the printer of derivations agree on: limits, and how strings are escaped."""

from __future__ import annotations

from fruix.late import late_pattern

MAX_SIZE = 64 << 20
# More than any derivation in use has of arguments, variables or inputs; Linux starts no program
# with so many.
MAX_ITEMS = 1 << 17
# The version that the form with outputs of outputs has, and how deep those may be in each other.
DYNAMIC = "xp-dyn-drv"
MAX_DEPTH = 64

# A NUL stands for a backslash between the first and the last step; the files have none.
_UNESCAPING = (
    (b"\\\\", b"\0"),
    (b"\\n", b"\n"),
    (b"\\r", b"\r"),
    (b"\\t", b"\t"),
    (b"\\", b""),
    (b"\0", b"\\"),
)
_ESCAPING = ((b"\\", b"\\\\"), (b'"', b'\\"'), (b"\n", b"\\n"), (b"\r", b"\\r"), (b"\t", b"\\t"))
TO_ESCAPE = late_pattern(r'["\\\n\r\t]')


def escaped(text: bytes) -> bytes:
    """What stands between the quotes for a text."""
    for before, after in _ESCAPING:
        text = text.replace(before, after)
    return text


def unescaped(text: bytes) -> bytes:
    """The text that stands escaped between two quotes."""
    if b"\\" in text:
        for before, after in _UNESCAPING:
            text = text.replace(before, after)
    return text
