"""The operations of the Nix dialect, minor versions 21 (Nix 2.3) to 38, and Fruix's own.

A later version's field is a `since`, a later operation a row; what had another form before version 34
has its older row in `nix_before_34`. The extensions are offered only to
clients that name the feature `fruix-1` in the greeting; nobody else can send or see them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from fruix.model.activity import ActiveBuild
from fruix.model.buildresult import BuildMode, BuildResult
from fruix.model.contentaddress import ContentAddress
from fruix.model.derivation import Derivation
from fruix.model.derivedpath import DerivedPath
from fruix.model.hostview import HostView, Sighting
from fruix.model.pathinfo import PathInfo
from fruix.model.planned import BuildPlan, Missing
from fruix.model.realisation import Realisation
from fruix.model.storepath import StorePath
from fruix.protocol import numbers
from fruix.protocol.build_codecs import (
    BASIC_DERIVATION,
    BUILD_RESULT,
    DERIVED_PATHS,
    MODE,
    REALISATION,
    RESULT_FOR,
)
from fruix.protocol.build_status import ACTIVE_BUILD, BUILD_PLAN, HISTORIES, HOST_VIEW
from fruix.protocol.common_operations import (
    ASK,
    ASK_MANY,
    DONE,
    SHARED,
    QueryValidPaths,
    SetOptions,
)
from fruix.protocol.compound import LIST_LIMIT, List, Map, Maybe
from fruix.protocol.model_codecs import (
    ADDRESS,
    BASE_NAME,
    KEYED_INFO,
    MISSING,
    OPTIONAL_PATH,
    PATH,
    PATH_SET,
    PATHS,
    SIGNATURES,
    SUBSTITUTABLES,
    UNKEYED_INFO,
    SubstitutableInfo,
    UnkeyedInfo,
)
from fruix.protocol.options import NIX_OPTIONS
from fruix.protocol.own_operations import OWN
from fruix.protocol.records import Body, Field, Operation, Request, row
from fruix.protocol.wire import BOOL, FEATURE, NAME, TEXT, U64


class AddToStore(Request[PathInfo]):
    """Add contents whose path follows from them; `method` as in `model.contentaddress`."""

    name: str
    method: str
    references: tuple[StorePath, ...]
    repair: bool = False


class QueryPathInfo(Request[UnkeyedInfo | None]):
    """What is known of a valid path."""

    path: StorePath


class QuerySubstitutablePathInfos(Request[Collection[SubstitutableInfo]]):
    """What substituters say of paths."""

    paths: Mapping[StorePath, ContentAddress | None]


class BuildDerivation(Request[BuildResult]):
    """Build a derivation that need not be in the store."""

    drv: StorePath
    derivation: Derivation
    mode: BuildMode


class AddSignatures(Request[None]):
    """Add signatures to a valid path."""

    path: StorePath
    signatures: tuple[str, ...]


class NarFromPath(Request[Iterable[bytes]]):
    """A valid path's archive, streamed behind the reply."""

    path: StorePath


class AddToStoreNar(Request[None]):
    """Add an archive under the path that the client names."""

    info: PathInfo
    repair: bool
    unchecked: bool


class QueryMissing(Request[Missing]):
    """What building would do; clients ask before they build, to show it."""

    requests: tuple[DerivedPath, ...]


class QueryDerivationOutputMap(Request[Mapping[str, StorePath | None]]):
    """The outputs of a valid derivation by name."""

    path: StorePath


class RegisterDrvOutput(Request[None]):
    """Say where a content-addressed derivation's output is."""

    realisation: Realisation


class QueryRealisation(Request[Collection[Realisation]]):
    """Where a content-addressed derivation's output is."""

    id: str


class AddMultipleToStore(Request[None]):
    """Add a stream of archives, references first."""

    repair: bool
    unchecked: bool


class AddBuildLog(Request[None]):
    """Add the log of a derivation that was built elsewhere."""

    drv: StorePath


class BuildPathsWithResults(Request[Collection[tuple[DerivedPath, BuildResult]]]):
    """Make paths and outputs valid; failures are results."""

    requests: tuple[DerivedPath, ...]
    mode: BuildMode


class AddPermRoot(Request[str]):
    """Make a link that is a root."""

    path: StorePath
    link: str


class QueryHostView(Request[HostView]):
    """A host view as it is now, or as it was when it had that fingerprint."""

    name: str


class QueryHostViews(Request[Mapping[str, Sequence[Sighting]]]):
    """The host views that are offered, with the fingerprints that they had."""


class EnterSandbox(Request[int]):
    """A shell in a derivation's sandbox, to its end; the reply is its exit status.

    The outer end of its terminal comes with the message that says what runs.
    """

    drv: StorePath
    terminal: str
    command: tuple[str, ...]
    fresh: bool


class QueryActiveBuilds(Request[Collection[ActiveBuild]]):
    """The builds of all clients."""


class QueryPlan(Request[BuildPlan]):
    """What building would do, with reasons and usual durations."""

    requests: tuple[DerivedPath, ...]
    mode: BuildMode


_UNCHECKED = (Field("repair", BOOL), Field("unchecked", BOOL))
ADD_NAR = (Field("info", KEYED_INFO), *_UNCHECKED)
_BUILD = (Field("requests", DERIVED_PATHS), Field("mode", MODE))

NIX: tuple[Operation, ...] = (
    *SHARED,
    row(
        7,
        AddToStore,
        [Field("name", NAME), Field("method", NAME), Field("references", PATHS), Field("repair", BOOL)],
        KEYED_INFO,
        body=Body.FRAMED,
        since=25,
    ),
    row(19, SetOptions, [Field("options", NIX_OPTIONS)]),
    row(26, QueryPathInfo, ASK, Maybe(UNKEYED_INFO)),
    row(
        30,
        QuerySubstitutablePathInfos,
        [Field("paths", Map(PATH, ADDRESS, limit=LIST_LIMIT))],
        SUBSTITUTABLES,
        since=22,
    ),
    row(31, QueryValidPaths, [*ASK_MANY, Field("substitute", BOOL, since=27)], PATH_SET),
    row(
        36,
        BuildDerivation,
        [Field("drv", PATH), Field("derivation", BASIC_DERIVATION), Field("mode", MODE)],
        BUILD_RESULT,
    ),
    row(37, AddSignatures, [*ASK, Field("signatures", SIGNATURES)], DONE),
    row(38, NarFromPath, ASK, reply_body=Body.NAR),
    row(39, AddToStoreNar, ADD_NAR, body=Body.FRAMED, since=23),
    row(40, QueryMissing, [Field("requests", DERIVED_PATHS)], MISSING),
    row(41, QueryDerivationOutputMap, ASK, Map(NAME, OPTIONAL_PATH)),
    row(42, RegisterDrvOutput, [Field("realisation", REALISATION)], since=31),
    row(43, QueryRealisation, [Field("id", NAME)], List(REALISATION), since=31),
    row(44, AddMultipleToStore, _UNCHECKED, body=Body.FRAMED),
    row(45, AddBuildLog, [Field("drv", BASE_NAME)], DONE, body=Body.FRAMED),
    row(46, BuildPathsWithResults, _BUILD, List(RESULT_FOR)),
    row(47, AddPermRoot, [*ASK, Field("link", NAME)], NAME),
    row(0x46520001, QueryHostView, [Field("name", NAME)], HOST_VIEW, feature=FEATURE),
    row(numbers.QUERY_ACTIVE_BUILDS, QueryActiveBuilds, (), List(ACTIVE_BUILD), feature=FEATURE),
    row(numbers.QUERY_PLAN, QueryPlan, _BUILD, BUILD_PLAN, feature=FEATURE),
    row(
        0x46520004,
        EnterSandbox,
        [Field("drv", PATH), Field("terminal", NAME), Field("command", List(TEXT)), Field("fresh", BOOL)],
        U64,
        feature=FEATURE,
    ),
    row(0x46520005, QueryHostViews, (), HISTORIES, feature=FEATURE),
    *OWN,
)
