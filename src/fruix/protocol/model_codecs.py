"""Codecs of the model's values: store paths, hashes, path infos, and what is said of many paths at once.

Texts become values in `parse`, when the whole message has been read.
"""

from __future__ import annotations

from collections.abc import Iterable

from fruix.dataclass import dataclass, fields
from fruix.errors import BadStorePathError, OutsideStoreError
from fruix.model.contentaddress import ContentAddress
from fruix.model.garbage import Root
from fruix.model.hashes import Hash
from fruix.model.pathinfo import PathInfo
from fruix.model.planned import Missing
from fruix.model.storepath import StorePath
from fruix.overriding import override
from fruix.protocol.compound import List
from fruix.protocol.records import Field, Record
from fruix.protocol.wire import (
    BOOL,
    I64,
    NAME,
    TEXT,
    U64,
    Constant,
    Context,
    Converted,
    Dialect,
    write_string,
    write_u64,
)


def _path(text: str, context: Context) -> StorePath:
    return StorePath.parse(text, context.directory)


def _optional_path(text: str, context: Context) -> StorePath | None:
    return StorePath.parse(text, context.directory) if text else None


def _asked(text: str, context: Context) -> StorePath:
    """A path that is only asked about: Guix's clients may ask about whatever lies below the store.

    What no store path can be called is then simply not valid.
    """
    try:
        return StorePath.parse(text, context.directory)
    except OutsideStoreError:
        raise
    except BadStorePathError:
        if context.dialect is Dialect.GUIX and text.isascii() and text.isprintable():
            return StorePath(text)
        raise


def _hash(text: str, _context: Context) -> Hash:
    return Hash.parse(text, "sha256")


def _address(text: str, _context: Context) -> ContentAddress | None:
    return ContentAddress.parse(text) if text else None


PATH = Converted(_path, lambda value, _: str(value))
OPTIONAL_PATH = Converted(_optional_path, lambda value, _: str(value) if value else "")
BASE_NAME = Converted(
    lambda text, context: StorePath.of(context.directory, text), lambda value, _: value.base
)
ASKED = Converted(_asked, lambda value, _: str(value))


class _Paths(List[StorePath]):
    """Lists of paths, which may be long: they are written without a call for each."""

    @override
    def write(self, sink: bytearray, value: Iterable[StorePath], _context: Context) -> None:
        texts = [path.text for path in value]
        if self.ordered:
            texts.sort()
        write_u64(sink, len(texts))
        for text in texts:
            write_string(sink, text.encode("utf-8", "surrogateescape"))


PATHS = _Paths(PATH)
ASKED_PATHS = List(ASKED)
PATH_SET = _Paths(PATH, ordered=True)
NAMES = List(NAME)
HASH = Converted(_hash, lambda value, _: value.base16)
ADDRESS = Converted(_address, lambda value, _: str(value) if value else "")


SIGNATURES = List(NAME, limit=1 << 10)


@dataclass(frozen=True, slots=True)
class UnkeyedInfo:
    """A `PathInfo` without its path, as replies to a question about one path carry it."""

    deriver: StorePath | None
    nar_hash: Hash
    references: tuple[StorePath, ...]
    registration_time: int
    nar_size: int
    ultimate: bool = False
    signatures: tuple[str, ...] = ()
    content_address: ContentAddress | None = None

    @classmethod
    def of(cls, info: PathInfo) -> UnkeyedInfo:
        """Take what is known of a path without the path."""
        return cls(
            info.deriver,
            info.nar_hash,
            info.references,
            info.registration_time,
            info.nar_size,
            info.ultimate,
            info.signatures,
            info.content_address,
        )

    def keyed(self, path: StorePath) -> PathInfo:
        """Put the path to it, which the question named."""
        return PathInfo(path=path, **{part.name: getattr(self, part.name) for part in fields(self)})


@dataclass(frozen=True, slots=True)
class SubstitutableInfo:
    """What a substituter would say of a path; the path is left out where the question named it."""

    deriver: StorePath | None
    references: tuple[StorePath, ...]
    download_size: int
    nar_size: int
    path: StorePath | None = None


@dataclass(frozen=True, slots=True)
class Garbage:
    """What was found or deleted, and how many bytes that freed."""

    paths: tuple[str, ...]
    freed: int


# Minor 16 and later: all fields. Guix stayed at the older form, which is GUIX_INFO.
_INFO = (
    Field("deriver", OPTIONAL_PATH),
    Field("nar_hash", HASH),
    Field("references", PATH_SET),
    Field("registration_time", I64),
    Field("nar_size", U64),
)
_INFO_EXTRAS = (Field("ultimate", BOOL), Field("signatures", SIGNATURES), Field("content_address", ADDRESS))
UNKEYED_INFO = Record(UnkeyedInfo, (*_INFO, *_INFO_EXTRAS))
KEYED_INFO = Record(PathInfo, (Field("path", PATH), *_INFO, *_INFO_EXTRAS))
GUIX_INFO = Record(UnkeyedInfo, _INFO)

MISSING = Record(
    Missing,
    (
        Field("will_build", PATH_SET),
        Field("will_substitute", PATH_SET),
        Field("unknown", PATH_SET),
        Field("download_size", U64),
        Field("nar_size", U64),
    ),
)
_SUBSTITUTABLE = (
    Field("deriver", OPTIONAL_PATH),
    Field("references", PATH_SET),
    Field("download_size", U64),
    Field("nar_size", U64),
)
SUBSTITUTABLE = Record(SubstitutableInfo, (Field("path", PATH), *_SUBSTITUTABLE))
SUBSTITUTABLE_DETAILS = Record(SubstitutableInfo, _SUBSTITUTABLE)
SUBSTITUTABLES = List(SUBSTITUTABLE)
ROOT = Record(Root, (Field("link", NAME), Field("target", PATH)))
# Not only store paths: left-over lock files and the like are named too.
GARBAGE = Record(Garbage, (Field("paths", List(TEXT)), Field("freed", U64), Field("unused", Constant(0))))
