"""The pieces of a NAR; put together in the right order they are the archive.

A file is `file_head`, its bytes, `file_tail`; a directory is `DIRECTORY_HEAD`, for each entry
(sorted by name as bytes) `entry_head`, the node, `ENTRY_TAIL`, then `DIRECTORY_TAIL`. Before
everything `MAGIC`.
"""

from __future__ import annotations

import struct

LENGTH = struct.Struct("<Q")

PADDINGS = tuple(bytes(count) for count in range(8))  # by how many bytes are missing to a multiple of 8


def string(data: bytes) -> bytes:
    """A string: its length (64 bits, little endian), its bytes, padding."""
    size = len(data)
    return LENGTH.pack(size) + data + PADDINGS[-size % 8]


def _strings(*words: bytes) -> bytes:
    return b"".join(map(string, words))


OPEN = string(b"(")
CLOSE = string(b")")
MAGIC = string(b"nix-archive-1")
FILE = _strings(b"(", b"type", b"regular", b"contents")
EXECUTABLE_FILE = _strings(b"(", b"type", b"regular", b"executable", b"", b"contents")
SYMLINK = _strings(b"(", b"type", b"symlink", b"target")
DIRECTORY_HEAD = _strings(b"(", b"type", b"directory")
DIRECTORY_TAIL = CLOSE
ENTRY = _strings(b"entry", b"(", b"name")
NODE = string(b"node")
ENTRY_TAIL = CLOSE


FILE_TAILS = tuple(padding + CLOSE for padding in PADDINGS)


def file_head(size: int, executable: bool) -> bytes:
    """What comes before a regular file's bytes."""
    return (EXECUTABLE_FILE if executable else FILE) + LENGTH.pack(size)


def file_tail(size: int) -> bytes:
    """What comes after a regular file's `size` bytes."""
    return FILE_TAILS[-size % 8]


def plain_file(data: bytes, *, executable: bool) -> bytes:
    """The whole archive of a regular file, in one piece: for small ones."""
    size = len(data)
    head = EXECUTABLE_FILE if executable else FILE
    return b"".join((MAGIC, head, LENGTH.pack(size), data, FILE_TAILS[-size % 8]))


NODES = tuple(padding + NODE for padding in PADDINGS)
# Of an entry that is a file: what comes between its name and its size, and behind its bytes.
ENTRY_FILE_HEADS = tuple(node + FILE for node in NODES)
ENTRY_EXECUTABLE_HEADS = tuple(node + EXECUTABLE_FILE for node in NODES)
ENTRY_FILE_TAILS = tuple(tail + ENTRY_TAIL for tail in FILE_TAILS)


def symlink(target: bytes) -> bytes:
    """A symlink's node from its beginning to its end."""
    return SYMLINK + string(target) + CLOSE


def entry_head(name: bytes) -> bytes:
    """What comes before an entry's node."""
    size = len(name)
    return ENTRY + LENGTH.pack(size) + name + NODES[-size % 8]
