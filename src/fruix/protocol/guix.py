"""The operations of the Guix dialect, minor versions 0x63 (Guix 1.4) and 0x64 (1.5)."""

from __future__ import annotations

from collections.abc import Collection

from fruix.model.storepath import StorePath
from fruix.protocol.common_operations import (
    ASK,
    ASK_MANY,
    DONE,
    NAMED,
    SHARED,
    DescribeHostView,
    ExportPath,
    ImportPaths,
    QueryValidPaths,
    SetOptions,
)
from fruix.protocol.model_codecs import (
    GUIX_INFO,
    NAMES,
    PATH,
    PATH_SET,
    PATHS,
    SUBSTITUTABLES,
    SubstitutableInfo,
    UnkeyedInfo,
)
from fruix.protocol.options import GUIX_OPTIONS
from fruix.protocol.records import Body, Field, Operation, Request, row
from fruix.protocol.wire import BOOL, NAME, TEXT, Constant


class AddToStore(Request[StorePath]):
    """Add an archive, or (not `recursive`) the one file in it; the path follows from the contents."""

    name: str
    recursive: bool
    algorithm: str


class QueryPathInfo(Request[UnkeyedInfo]):
    """What is known of a valid path."""

    path: StorePath


class QuerySubstitutablePathInfos(Request[Collection[SubstitutableInfo]]):
    """What substituters say of paths."""

    paths: tuple[StorePath, ...]


class BuiltinBuilders(Request[Collection[str]]):
    """The names of the builders that are part of the daemon, without `builtin:`."""


class SubstituteURLs(Request[Collection[str]]):
    """The addresses of the substitute servers that the daemon asks when a client names none."""


ADD_ARCHIVE = (
    Field("name", NAME),
    # 0 means "recursive, SHA-256, whatever follows"; Nix 2.3 sends it where these follow.
    Field("as given", Constant(1)),
    Field("recursive", BOOL),
    Field("algorithm", NAME),
)

GUIX: tuple[Operation, ...] = (
    *SHARED,
    row(7, AddToStore, ADD_ARCHIVE, PATH, body=Body.NAR),
    row(16, ExportPath, [*NAMED, Field("sign", BOOL)], DONE, reply_body=Body.MESSAGES),
    row(19, SetOptions, [Field("options", GUIX_OPTIONS)]),
    row(26, QueryPathInfo, ASK, GUIX_INFO),
    row(27, ImportPaths, (), PATHS, body=Body.MESSAGES),
    row(30, QuerySubstitutablePathInfos, ASK_MANY, SUBSTITUTABLES),
    row(31, QueryValidPaths, ASK_MANY, PATH_SET),
    row(80, BuiltinBuilders, (), NAMES),
    row(81, SubstituteURLs, (), NAMES, since=0x64),
    # Of Fruix's own; the Guile module of its build system asks it (`fruix/guile`).
    row(0x46520006, DescribeHostView, [Field("name", NAME)], TEXT),
)
