"""Export streams, by which stores hand each other objects: `guix archive --export`, `nix-store --export`.

    stream = *( u64 1  item ) u64 0
    item   = nar  u64 0x4558494e  path  references  deriver  signature
    references = u64 count, so many paths
    deriver    = path or ""
    signature  = u64 0, or u64 1 str

Numbers are 64 bit little endian, texts `str` as in archives (`fruix.model.nar`). Objects come
references first. Guix signs the bytes from the archive to the deriver (`fruix.signing`); Nix signs
nothing here. Writer and reader stand together; the reader takes what comes before and after the
archive from a `ByteSource`, the archive itself is read by `NarReader`.
"""

from __future__ import annotations

from typing import Protocol, Self

from fruix.dataclass import dataclass
from fruix.errors import BadNarError
from fruix.model.nar.write import string
from fruix.model.storepath import StorePath
from fruix.model.text import to_bytes, to_text

MAGIC = 0x4558494E
# What a stream may hold between two archives.
MAX_PATH = 1 << 12
MAX_REFERENCES = 1 << 20
MAX_SIGNATURE = 1 << 16


def number(value: int) -> bytes:
    """64 bits, little endian."""
    return value.to_bytes(8, "little")


ITEM, END = number(1), number(0)


class ByteSource(Protocol):
    """Bytes in order, as `fruix.protocol.reader.Source` gives them."""

    def u64(self) -> int:
        """Read a number of 64 bits."""

    def read_exact(self, size: int) -> bytes:
        """Read `size` bytes; an error of the source's kind if it ends before."""


@dataclass(frozen=True, slots=True)
class Description:
    """What an item says of its archive. The references are in the order in which they are written."""

    path: StorePath
    references: tuple[StorePath, ...]
    deriver: StorePath | None

    @property
    def encoded(self) -> bytes:
        """From the mark behind the archive to the deriver."""
        parts = [number(MAGIC), _text(str(self.path)), number(len(self.references))]
        parts += [_text(str(reference)) for reference in self.references]
        return b"".join([*parts, _text(str(self.deriver) if self.deriver else "")])

    @classmethod
    def read(cls, source: ByteSource, directory: str) -> Self:
        """The inverse of `encoded`.

        Raises:
            BadNarError: something else is there.
            BadStorePathError: a path that none of the store `directory` can be.
        """
        if source.u64() != MAGIC:
            raise BadNarError("archive cannot be imported; wrong format")
        path = _read_text(source)
        count = source.u64()
        if count > MAX_REFERENCES:
            raise BadNarError(f"{count} references, at most {MAX_REFERENCES} are allowed", where=path)
        references = [_read_text(source) for _ in range(count)]
        deriver = _read_text(source)
        return cls(
            StorePath.parse(path, directory),
            tuple(StorePath.parse(text, directory) for text in references),
            StorePath.parse(deriver, directory) if deriver else None,
        )


def signature(text: str | None) -> bytes:
    """The signature's field; None: there is none."""
    return END if text is None else ITEM + string(text.encode("latin-1"))


def read_signature(source: ByteSource) -> bytes | None:
    """The inverse of `signature`.

    Raises:
        BadNarError: something else is there.
    """
    return _read_string(source, MAX_SIGNATURE) if _read_flag(source) else None


def read_begin(source: ByteSource) -> bool:
    """Whether another item follows.

    Raises:
        BadNarError: it is no export stream.
    """
    return _read_flag(source)


def _read_flag(source: ByteSource) -> bool:
    flag = source.u64()
    if flag > 1:
        raise BadNarError("input doesn't look like something created by `nix-store --export'")
    return bool(flag)


def _text(text: str) -> bytes:
    return string(to_bytes(text))


def _read_text(source: ByteSource) -> str:
    return to_text(_read_string(source, MAX_PATH))


def _read_string(source: ByteSource, limit: int) -> bytes:
    size = source.u64()
    if size > limit:
        raise BadNarError(f"a text of {size} bytes, at most {limit} are allowed")
    data = source.read_exact(size + -size % 8)
    if any(data[size:]):
        raise BadNarError("non-zero padding")
    return data[:size]
