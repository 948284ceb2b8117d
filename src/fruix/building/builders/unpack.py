"""`unpack` of `builtin:fetchurl`.

The fetched file is an archive (NAR), compressed with xz if its URL says so, and becomes the tree in
it.

Runs in the fetcher's sandbox; imported before that is sealed. The bound on a download's size holds
for what comes out as well.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from fruix.errors import FormatError
from fruix.store.tree.restore import restore

try:
    import lzma
except ImportError:  # some Pythons are built without
    lzma = None  # type: ignore[assignment]

CHUNK = 1 << 18


def unpack(path: str, url: str, max_size: int) -> None:
    """Replace the file at `path` by the tree in it.

    Args:
        path: what was fetched.
        url: where from; its ending tells the compression.
        max_size: bytes of archive; 0: no limit.

    Raises:
        FormatError: not an archive, or too long.
    """
    parent = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
    packed = path + ".packed"
    os.rename(path, packed)
    try:
        restore(_bounded(_read(packed, url), max_size), parent, os.fsencode(os.path.basename(path)))
    finally:
        os.close(parent)
        os.unlink(packed)


def _read(path: str, url: str) -> Iterator[bytes]:
    if not url.endswith(".xz"):
        with open(path, "rb") as file:
            yield from iter(lambda: file.read(CHUNK), b"")
        return
    if lzma is None:
        raise FormatError("this Python can't read xz", hint="install one with the module lzma")
    try:
        with lzma.open(path) as stream:
            yield from iter(lambda: stream.read(CHUNK), b"")
    except (lzma.LZMAError, EOFError) as error:
        raise FormatError(f"not an xz file: {error}") from error


def _bounded(chunks: Iterator[bytes], limit: int) -> Iterator[bytes]:
    done = 0
    for chunk in chunks:
        done += len(chunk)
        if limit and done > limit:
            raise FormatError(f"unpacks to more than the limit of {limit} bytes")
        yield chunk
