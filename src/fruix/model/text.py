"""Bytes of the outside world as `str`, without loss.

Names, arguments and variables of derivations are bytes that are almost always UTF-8. They are kept
as `str` decoded with `surrogateescape`, so that an invalid sequence survives the round trip byte
for byte.
"""

from __future__ import annotations


def to_text(data: bytes | bytearray | memoryview) -> str:
    """Decode; every byte string has a text."""
    return str(data, "utf-8", "surrogateescape")


def to_bytes(text: str) -> bytes:
    """Encode; the inverse of `to_text`."""
    return text.encode("utf-8", "surrogateescape")


def shortened(text: str, most: int = 1000) -> str:
    """A text of at most `most` characters; of a longer one the middle is left out."""
    if len(text) <= most:
        return text
    half = (most - 1) // 2
    return f"{text[:half]}…{text[-half:]}"


def printable(text: str) -> str:
    """For people, on one line.

    What a terminal or a protocol of lines would take for something else is escaped.
    """
    return text if text.isprintable() else ascii(text)[1:-1]
