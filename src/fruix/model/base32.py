"""nix32: the base-32 of store paths.

Its alphabet leaves out e, o, u and t; the text is written most significant group first while the
bytes are least significant first.

Cost: one big-integer conversion, and one table look-up for two characters.
"""

from __future__ import annotations

from fruix.errors import BadHashError

ALPHABET = "0123456789abcdfghijklmnpqrsvwxyz"
_PAIRS = [a + b for a in ALPHABET for b in ALPHABET]  # two characters are ten bits
# Python reads base 32 itself, with other digits.
_DIGITS = str.maketrans(ALPHABET, "0123456789abcdefghijklmnopqrstuv")
_IN_ALPHABET = frozenset(ALPHABET).issuperset


def encoded_size(size: int) -> int:
    """Characters for `size` bytes: 16 → 26, 20 → 32, 32 → 52, 64 → 103."""
    return (8 * size - 1) // 5 + 1 if size else 0


def encode(data: bytes) -> str:
    """The nix32 text of `data`."""
    length = encoded_size(len(data))
    value = int.from_bytes(data, "little")
    odd = length & 1
    pairs = [_PAIRS[(value >> shift) & 1023] for shift in range(10 * (length // 2 - 1), -10, -10)]
    return (ALPHABET[value >> (10 * (length // 2))] if odd else "") + "".join(pairs)


def decode(text: str, size: int | None = None) -> bytes:
    """The bytes of a nix32 text.

    Args:
        text: characters of the alphabet, nothing else.
        size: bytes expected; None takes what the length implies.

    Raises:
        BadHashError: wrong length, a character outside of the alphabet, or bits left over at the
            end.
    """
    expected = len(text) * 5 // 8 if size is None else size
    if encoded_size(expected) != len(text):
        raise BadHashError(
            f"'{text}' has {len(text)} characters, nix32 of {expected} bytes has {encoded_size(expected)}"
        )
    if not _IN_ALPHABET(text):
        bad = next(character for character in text if character not in ALPHABET)
        raise BadHashError(f"'{text}' contains '{bad}', which is not in the nix32 alphabet")
    value = int(text.translate(_DIGITS), 32) if text else 0
    if value >> (8 * expected):
        raise BadHashError(f"'{text}' has bits beyond its {expected} bytes")
    return value.to_bytes(expected, "little")
