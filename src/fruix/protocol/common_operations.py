"""Requests and rows that both dialects have in the same form. Those that differ are in `nix` and `guix`."""

from __future__ import annotations

from collections.abc import Collection

from fruix.model.buildresult import BuildMode
from fruix.model.derivedpath import DerivedPath
from fruix.model.garbage import Root
from fruix.model.hashes import Hash
from fruix.model.storepath import StorePath
from fruix.protocol.build_codecs import DERIVED_PATHS, MODE
from fruix.protocol.compound import List, Maybe
from fruix.protocol.model_codecs import (
    ASKED,
    ASKED_PATHS,
    GARBAGE,
    HASH,
    NAMES,
    OPTIONAL_PATH,
    PATH,
    PATH_SET,
    PATHS,
    ROOT,
    SUBSTITUTABLE_DETAILS,
    Garbage,
    SubstitutableInfo,
)
from fruix.protocol.options import ClientOptions
from fruix.protocol.records import Field, Operation, Request, row
from fruix.protocol.wire import BOOL, NAME, OCTETS, U64, Constant


class IsValidPath(Request[bool]):
    """Whether a path is valid (registered)."""

    path: StorePath


class HasSubstitutes(Request[bool]):
    """Whether a substituter has a path."""

    path: StorePath


class QueryPathHash(Request[Hash]):
    """The hash of a valid path's archive."""

    path: StorePath


class QueryReferences(Request[Collection[StorePath]]):
    """What a valid path refers to."""

    path: StorePath


class QueryReferrers(Request[Collection[StorePath]]):
    """Which valid paths refer to a path."""

    path: StorePath


class AddTextToStore(Request[StorePath]):
    """Add a small text, named by its contents and references."""

    name: str
    contents: bytes
    references: tuple[StorePath, ...]


class DescribeHostView(Request[str]):
    """Describe a host view as it is now in Scheme data, with the system that has it."""

    name: str


class BuildPaths(Request[None]):
    """Make paths and outputs valid; a failure is an error."""

    requests: tuple[DerivedPath, ...]
    mode: BuildMode


class EnsurePath(Request[None]):
    """Make a path valid, by a substituter if need be."""

    path: StorePath


class AddTempRoot(Request[None]):
    """Keep a path from being collected for the rest of the session."""

    path: StorePath


class AddIndirectRoot(Request[None]):
    """Make what a symbolic link points to a root for as long as it does."""

    link: str


class SyncWithGC(Request[None]):
    """Wait until a running garbage collection knows the roots so far."""


class FindRoots(Request[tuple[Root, ...]]):
    """All garbage collection roots, with what they keep."""


class QueryDeriver(Request[StorePath | None]):
    """The derivation that a valid path was built from, where it is known."""

    path: StorePath


class CollectGarbage(Request[Garbage]):
    """List or delete paths; `action`: 0 live, 1 dead, 2 delete dead ones, 3 delete `paths`."""

    action: int
    paths: tuple[StorePath, ...]
    ignore_liveness: bool
    max_freed: int


class QueryDerivationOutputs(Request[Collection[StorePath]]):
    """The outputs of a valid derivation."""

    path: StorePath


class QueryAllValidPaths(Request[Collection[StorePath]]):
    """Every valid path: up to some 10⁵ of them."""


class QueryFailedPaths(Request[Collection[StorePath]]):
    """Outputs of builds that are remembered to have failed."""


class ClearFailedPaths(Request[None]):
    """Forget that builds failed; `*` stands for all."""

    paths: tuple[str, ...]


class QueryDerivationOutputNames(Request[Collection[str]]):
    """The names of a valid derivation's outputs."""

    path: StorePath


class QueryPathFromHashPart(Request[StorePath | None]):
    """The valid path with a hash part (32 characters)."""

    hash_part: str


class QuerySubstitutablePaths(Request[Collection[StorePath]]):
    """Which of some paths a substituter has."""

    paths: tuple[StorePath, ...]


class QueryValidPaths(Request[Collection[StorePath]]):
    """Which of some paths are valid."""

    paths: tuple[StorePath, ...]
    substitute: bool = False


class QueryValidDerivers(Request[Collection[StorePath]]):
    """The valid derivations that have a path as an output."""

    path: StorePath


class OptimiseStore(Request[None]):
    """Make equal files of the store one."""


class VerifyStore(Request[bool]):
    """Check the store; the reply is whether something is wrong."""

    contents: bool
    repair: bool


class QuerySubstitutablePathInfo(Request[SubstitutableInfo | None]):
    """What a substituter says of a path."""

    path: StorePath


class ExportPath(Request[None]):
    """A valid path as an item of an export stream (`model.nar.export`), within the messages."""

    path: StorePath
    sign: bool


class ImportPaths(Request[Collection[StorePath]]):
    """Add what an export stream holds; the reply has the paths in the order in which they came.

    `unchecked`: without looking at signatures, which a trusted user may ask for.
    """

    unchecked: bool = False


class SetOptions(Request[None]):
    """What a client sets for its session."""

    options: ClientOptions


# What is only asked about needs not be well-formed in Guix's dialect; what something is done with has to be.
ASK = (Field("path", ASKED),)
ASK_MANY = (Field("paths", ASKED_PATHS),)
NAMED = (Field("path", PATH),)
DONE = Constant(1)
_UNUSED = Constant(0)

SHARED: tuple[Operation, ...] = (
    row(1, IsValidPath, ASK, BOOL),
    row(3, HasSubstitutes, ASK, BOOL),
    row(4, QueryPathHash, ASK, HASH),
    row(5, QueryReferences, ASK, PATH_SET),
    row(6, QueryReferrers, ASK, PATH_SET),
    row(
        8,
        AddTextToStore,
        [Field("name", NAME), Field("contents", OCTETS), Field("references", PATHS)],
        PATH,
    ),
    row(9, BuildPaths, [Field("requests", DERIVED_PATHS), Field("mode", MODE)], DONE),
    row(10, EnsurePath, NAMED, DONE),
    row(11, AddTempRoot, NAMED, DONE),
    row(12, AddIndirectRoot, [Field("link", NAME)], DONE),
    row(13, SyncWithGC, (), DONE),
    row(14, FindRoots, (), List(ROOT)),
    row(18, QueryDeriver, ASK, OPTIONAL_PATH),
    row(
        20,
        CollectGarbage,
        [
            Field("action", U64),
            Field("paths", PATHS),
            Field("ignore_liveness", BOOL),
            Field("max_freed", U64),
            Field("unused", _UNUSED),
            Field("unused", _UNUSED),
            Field("unused", _UNUSED),
        ],
        GARBAGE,
    ),
    row(21, QuerySubstitutablePathInfo, ASK, Maybe(SUBSTITUTABLE_DETAILS)),
    row(22, QueryDerivationOutputs, ASK, PATH_SET),
    row(23, QueryAllValidPaths, (), PATH_SET),
    row(24, QueryFailedPaths, (), PATH_SET),
    row(25, ClearFailedPaths, [Field("paths", NAMES)], DONE),
    row(28, QueryDerivationOutputNames, ASK, List(NAME, ordered=True)),
    row(29, QueryPathFromHashPart, [Field("hash_part", NAME)], OPTIONAL_PATH),
    row(32, QuerySubstitutablePaths, ASK_MANY, PATH_SET),
    row(33, QueryValidDerivers, ASK, PATH_SET),
    row(34, OptimiseStore, (), DONE),
    row(35, VerifyStore, [Field("contents", BOOL), Field("repair", BOOL)], BOOL),
)
