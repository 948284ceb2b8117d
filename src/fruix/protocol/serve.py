"""The older protocol of Nix's stores behind `ssh://`, which `nix-store --serve` speaks: 2.1 to 2.7.

The client greets with a number and its version, is answered with another number and the server's, and
the lower version holds. Then requests and replies follow each other, without messages in between: what
is to be told goes to standard error, and an error ends the connection. Numbers, texts and lists are
those of the worker protocol (`fruix.protocol.wire`); a `since` here is a minor version of this one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Self

from fruix.dataclass import dataclass
from fruix.errors import ProtocolError
from fruix.model.buildresult import BuildResult
from fruix.model.contentaddress import ContentAddress
from fruix.model.derivation import Derivation
from fruix.model.derivedpath import DerivedPath
from fruix.model.hashes import Hash
from fruix.model.pathinfo import PathInfo
from fruix.model.realisation import Realisation
from fruix.model.storepath import StorePath
from fruix.protocol.advice import advised
from fruix.protocol.build_codecs import BASIC_DERIVATION, OUTPUTS_LIMIT, REALISATION, realisations
from fruix.protocol.common_operations import DONE
from fruix.protocol.compound import LIST_LIMIT, List, Map
from fruix.protocol.model_codecs import (
    ADDRESS,
    KEYED_INFO,
    OPTIONAL_PATH,
    PATH,
    PATH_SET,
    PATHS,
    SIGNATURES,
)
from fruix.protocol.reader import Source
from fruix.protocol.records import Body, Field, Operation, Record, Request, row
from fruix.protocol.wire import BOOL, I64, NAME, TEXT, U64, Context, Converted, Dialect

CLIENT_MAGIC, SERVER_MAGIC = 0x390C9DEB, 0x5452EECB
MAJOR, OLDEST, NEWEST = 2, 1, 7
BUDGET = 64  # bytes of a greeting


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """What a client wants of builds; 0: no limit."""

    max_silent_time: int
    timeout: int
    max_log_size: int = 0
    repeats: int = 0
    enforce_determinism: bool = False
    keep_failed: bool = False


@dataclass(frozen=True, slots=True)
class ServedInfo:
    """What is known of a valid path."""

    path: StorePath
    deriver: StorePath | None
    references: tuple[StorePath, ...]
    download_size: int
    nar_size: int
    nar_hash: Hash
    content_address: ContentAddress | None
    signatures: tuple[str, ...]

    @classmethod
    def of(cls, info: PathInfo) -> Self:
        """Take it from what a store knows; how much a download is isn't known, and isn't compressed."""
        return cls(
            info.path,
            info.deriver,
            info.references,
            info.nar_size,
            info.nar_size,
            info.nar_hash,
            info.content_address,
            info.signatures,
        )


@dataclass(frozen=True, slots=True)
class ServedResult:
    """How a build ended."""

    status: int
    message: str
    times_built: int
    non_deterministic: bool
    start_time: int
    stop_time: int
    realisations: Mapping[str, Realisation]

    @classmethod
    def of(cls, result: BuildResult, context: Context) -> Self:
        """Take it from a daemon's answer."""
        return cls(
            int(result.status),
            advised(result.message, result.hint, context),
            result.times_built,
            result.non_deterministic,
            result.start_time,
            result.stop_time,
            realisations(result),
        )


class QueryValidPaths(Request[Collection[StorePath]]):
    """Which of some paths are valid; `lock` keeps them while the connection lasts."""

    lock: bool
    substitute: bool
    paths: tuple[StorePath, ...]


class QueryPathInfos(Request[Iterable[ServedInfo]]):
    """What is known of those paths that are valid; the reply ends with an empty path."""

    paths: tuple[StorePath, ...]


class DumpStorePath(Request[Iterable[bytes]]):
    """A valid path's archive, which is the whole reply."""

    path: StorePath


class ImportPaths(Request[None]):
    """Add what the export stream behind the request holds."""


class BuildPaths(Request[None]):
    """Make paths and outputs valid; the reply is a status, and a message if it is a failure's."""

    requests: tuple[DerivedPath, ...]
    options: ServeOptions


class QueryClosure(Request[Collection[StorePath]]):
    """Some paths with all that they need; `outputs`: with the valid outputs of derivations among them."""

    outputs: bool
    paths: tuple[StorePath, ...]


class BuildDerivation(Request[ServedResult]):
    """Build a derivation that need not be in the store."""

    drv: StorePath
    derivation: Derivation
    options: ServeOptions


class AddToStoreNar(Request[None]):
    """Add the archive behind the request under the path that the client names."""

    info: PathInfo


_OPTIONS = Record(
    ServeOptions,
    (
        Field("max_silent_time", U64),
        Field("timeout", U64),
        Field("max_log_size", U64, since=2),
        Field("repeats", U64, since=3),
        Field("enforce_determinism", BOOL, since=3),
        Field("keep_failed", BOOL, since=7),
    ),
)
_PREFIXED_HASH = Converted(lambda text, _: Hash.parse(text, "sha256"), lambda value, _: value.prefixed)
INFO = Record(
    ServedInfo,
    (
        Field("path", PATH),
        Field("deriver", OPTIONAL_PATH),
        Field("references", PATH_SET),
        Field("download_size", U64),
        Field("nar_size", U64),
        Field("nar_hash", _PREFIXED_HASH, since=4),
        Field("content_address", ADDRESS, since=4),
        Field("signatures", SIGNATURES, since=4),
    ),
)
_RESULT = Record(
    ServedResult,
    (
        Field("status", U64),
        Field("message", TEXT),
        Field("times_built", U64, since=3),
        Field("non_deterministic", BOOL, since=3),
        Field("start_time", I64, since=3),
        Field("stop_time", I64, since=3),
        Field("realisations", Map(NAME, REALISATION, limit=OUTPUTS_LIMIT), since=6),
    ),
)
# As in the oldest form of the worker protocol: a derivation alone stands for all of its outputs.
_OLD_DERIVED = Converted(
    lambda text, context: DerivedPath.parse_guix(text, context.directory),
    lambda value, _: value.guix_text(),
    1 << 16,
)

SERVE: Mapping[int, Operation] = {
    operation.number: operation
    for operation in (
        row(
            1,
            QueryValidPaths,
            [Field("lock", BOOL), Field("substitute", BOOL), Field("paths", PATHS)],
            PATH_SET,
        ),
        row(2, QueryPathInfos, [Field("paths", PATHS)]),
        row(3, DumpStorePath, [Field("path", PATH)], reply_body=Body.NAR),
        row(4, ImportPaths, (), DONE, body=Body.NAR),
        row(6, BuildPaths, [Field("requests", List(_OLD_DERIVED, LIST_LIMIT)), Field("options", _OPTIONS)]),
        row(7, QueryClosure, [Field("outputs", BOOL), Field("paths", PATHS)], PATH_SET),
        row(
            8,
            BuildDerivation,
            [Field("drv", PATH), Field("derivation", BASIC_DERIVATION), Field("options", _OPTIONS)],
            _RESULT,
        ),
        row(9, AddToStoreNar, [Field("info", KEYED_INFO)], DONE, body=Body.NAR),
    )
}


def welcome(source: Source, send: Callable[[bytes], Any], directory: str) -> Context:
    """The server's side of the greeting.

    Raises:
        ProtocolError: a peer that speaks something else.
    """
    source.expect(BUDGET)
    if source.u64() != CLIENT_MAGIC:
        raise ProtocolError("protocol mismatch", hint="this is for 'ssh://' of Nix's clients")
    send(b"".join(number.to_bytes(8, "little") for number in (SERVER_MAGIC, MAJOR << 8 | NEWEST)))
    version = source.u64()
    if version >> 8 != MAJOR or version & 0xFF < OLDEST:
        raise ProtocolError(f"the client speaks version {version >> 8}.{version & 0xFF}, which is not served")
    return Context(Dialect.NIX, min(version & 0xFF, NEWEST), directory)
