"""ELF files made by hand, with just what a loader reads."""

from __future__ import annotations

import struct

BASE = 0x400000
NEEDED, RPATH, RUNPATH, STRTAB = 1, 15, 29, 5
HEADERS = {32: "<HHIIIIIHHH", 64: "<HHIQQQIHHH"}
DYNAMIC = {32: "<iI", 64: "<qQ"}


def segment(bits: int, kind: int, offset: int, size: int) -> bytes:
    address = BASE + offset
    if bits == 64:
        return struct.pack("<IIQQQQQQ", kind, 4, offset, address, address, size, size, 8)
    return struct.pack("<8I", kind, offset, address, address, size, size, 4, 4)


def make(bits: int, tags: list[tuple[int, str]], interpreter: str = "") -> bytes:
    """Header, three program headers, then interpreter, strings and dynamic entries."""
    entry = 56 if bits == 64 else 32
    first = 64 if bits == 64 else 52
    place = first + 3 * entry
    loader = interpreter.encode() + b"\0"
    strings, entries = b"\0", []
    for tag, text in tags:
        entries.append((tag, len(strings)))
        strings += text.encode() + b"\0"
    entries += [(STRTAB, BASE + place + len(loader)), (0, 0)]
    dynamic = b"".join(struct.pack(DYNAMIC[bits], *item) for item in entries)
    start = place + len(loader) + len(strings)
    programs = (
        segment(bits, 1, 0, start + len(dynamic))
        + segment(bits, 2, start, len(dynamic))
        + segment(bits, 3 if interpreter else 0, place, len(loader))
    )
    head = b"\x7fELF" + bytes([bits // 32, 1, 1]) + bytes(9)
    head += struct.pack(HEADERS[bits], 2, 62, 1, 0, first, 0, 0, first, entry, 3)
    return head.ljust(first, b"\0") + programs + loader + strings + dynamic
