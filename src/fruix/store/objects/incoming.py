"""What comes from outside, while it is read: hashed, limited, compared with what was said of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fruix.dataclass import replace
from fruix.errors import ImportMismatchError
from fruix.model.hashes import Hash, sha256
from fruix.model.nar import write
from fruix.model.pathinfo import PathInfo
from fruix.store.tree.hashing import StreamHash


def with_archive(info: PathInfo, contents: bytes) -> PathInfo:
    """The same with hash and size of the archive of a plain file."""
    size = len(contents)
    head, tail = write.MAGIC + write.file_head(size, executable=False), write.file_tail(size)
    digest = sha256(head)
    digest.update(contents)
    digest.update(tail)
    return replace(info, nar_hash=Hash("sha256", digest.digest()), nar_size=len(head) + size + len(tail))


def hashed(chunks: Iterable[bytes], *streams: StreamHash) -> Iterator[bytes]:
    """The chunks, which go through `streams` on their way."""
    for chunk in chunks:
        for stream in streams:
            stream.update(chunk)
        yield chunk


def limited(chunks: Iterable[bytes], info: PathInfo) -> Iterator[bytes]:
    """Stop a sender who promised less than he sends, before the disk is full."""
    left = info.nar_size
    for chunk in chunks:
        left -= len(chunk)
        if left < 0:
            raise ImportMismatchError(
                str(info.path), kind="size", expected=str(info.nar_size), got="more than that"
            )
        yield chunk


def check_archive(info: PathInfo, found: Hash, size: int) -> None:
    """Compare an archive with what is said of it.

    Raises:
        ImportMismatchError: its hash or its size differs.
    """
    path, said = str(info.path), info.nar_hash
    if found != said:
        raise ImportMismatchError(path, expected=said.prefixed, got=found.prefixed)
    if size != info.nar_size:
        raise ImportMismatchError(path, kind="size", expected=str(info.nar_size), got=str(size))
