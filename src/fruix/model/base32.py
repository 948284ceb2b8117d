"""nix32: the base-32 of store paths.

Its alphabet leaves out e, o, u and t; the text is written most significant group first while the
bytes are least significant first.

Cost: one big-integer conversion, and for the text half a dozen steps that spread all groups of five
bits to bytes at once: 0.7 µs for a SHA-256.
"""

from __future__ import annotations

from fruix.errors import BadHashError

ALPHABET = "0123456789abcdfghijklmnpqrsvwxyz"
_CHARACTERS = ALPHABET.encode() + bytes(224)  # by the value of a byte
_Steps = tuple[tuple[int, int, int], ...]
_MADE: dict[int, tuple[int, _Steps]] = {}  # by the size of data: that of its text, and the steps
# Python reads base 32 itself, with other digits.
_DIGITS = str.maketrans(ALPHABET, "0123456789abcdefghijklmnopqrstuv")
_IN_ALPHABET = frozenset(ALPHABET).issuperset


def encoded_size(size: int) -> int:
    """Characters for `size` bytes: 16 → 26, 20 → 32, 32 → 52, 64 → 103."""
    return (8 * size - 1) // 5 + 1 if size else 0


def encode(data: bytes) -> str:
    """The nix32 text of `data`."""
    length, steps = _MADE.get(len(data)) or _make(len(data))
    value = int.from_bytes(data, "little")
    for lower, upper, distance in steps:
        value = value & lower | (value & upper) << distance
    return value.to_bytes(length, "big").translate(_CHARACTERS).decode("ascii")


def _make(size: int) -> tuple[int, _Steps]:
    """How groups of five bits become bytes: masks of what stays and of what moves, and by how many bits.

    First the upper half of them all moves up, then the upper half of each half, and so on.
    """
    length = encoded_size(size)
    whole = 1 << max(length - 1, 0).bit_length()  # groups, a power of two
    made, half = [], whole // 2
    while half:
        stays = sum(((1 << 5 * half) - 1) << start for start in range(0, 8 * whole, 16 * half))
        made.append((stays, stays << 5 * half, 3 * half))
        half //= 2
    return _MADE.setdefault(size, (length, tuple(made)))


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
