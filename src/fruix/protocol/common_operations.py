"""Rows that both dialects have in the same form. Those that differ are in `nix` and `guix`."""

from __future__ import annotations

from fruix.protocol.model_codecs import (
    DERIVED,
    HASH,
    MODE,
    OPTIONAL_PATH,
    PATH,
    PATH_SET,
    PATHS,
    ROOT,
    SUBSTITUTABLE,
)
from fruix.protocol.schema import Field, Operation, row
from fruix.protocol.wire import BOOL, NAME, OCTETS, TEXT, U64, Constant, List

ASK = (Field("path", PATH),)
ASK_MANY = (Field("paths", PATHS),)
ANSWER = (Field("answer", BOOL),)
ANSWER_PATHS = (Field("paths", PATH_SET),)
ANSWER_PATH = (Field("path", PATH),)
DONE = (Field("done", Constant(1)),)
UNUSED = Constant(0)
DERIVED_PATHS = List(DERIVED)

SHARED: tuple[Operation, ...] = (
    row(1, "IsValidPath", ASK, ANSWER),
    row(3, "HasSubstitutes", ASK, ANSWER),
    row(4, "QueryPathHash", ASK, [Field("hash", HASH)]),
    row(5, "QueryReferences", ASK, ANSWER_PATHS),
    row(6, "QueryReferrers", ASK, ANSWER_PATHS),
    row(
        8,
        "AddTextToStore",
        [Field("name", NAME), Field("contents", OCTETS), Field("references", PATHS)],
        ANSWER_PATH,
    ),
    row(9, "BuildPaths", [Field("requests", DERIVED_PATHS), Field("mode", MODE)], DONE),
    row(10, "EnsurePath", ASK, DONE),
    row(11, "AddTempRoot", ASK, DONE),
    row(12, "AddIndirectRoot", [Field("link", NAME)], DONE),
    row(13, "SyncWithGC", (), DONE),
    row(14, "FindRoots", (), [Field("roots", List(ROOT))]),
    row(18, "QueryDeriver", ASK, [Field("deriver", OPTIONAL_PATH)]),
    row(
        20,
        "CollectGarbage",
        [
            Field("action", U64),
            Field("paths", PATHS),
            Field("ignore_liveness", BOOL),
            Field("max_freed", U64),
            Field("unused", UNUSED),
            Field("unused", UNUSED),
            Field("unused", UNUSED),
        ],
        # Not only store paths: left-over lock files and the like are named too.
        [Field("paths", List(TEXT)), Field("freed", U64), Field("unused", UNUSED)],
    ),
    row(22, "QueryDerivationOutputs", ASK, ANSWER_PATHS),
    row(23, "QueryAllValidPaths", (), ANSWER_PATHS),
    row(24, "QueryFailedPaths", (), ANSWER_PATHS),
    row(25, "ClearFailedPaths", [Field("paths", List(NAME))], DONE),
    row(28, "QueryDerivationOutputNames", ASK, [Field("names", List(NAME, ordered=True))]),
    row(29, "QueryPathFromHashPart", [Field("hash_part", NAME)], [Field("path", OPTIONAL_PATH)]),
    row(32, "QuerySubstitutablePaths", ASK_MANY, ANSWER_PATHS),
    row(33, "QueryValidDerivers", ASK, ANSWER_PATHS),
    row(34, "OptimiseStore", (), DONE),
    row(35, "VerifyStore", [Field("contents", BOOL), Field("repair", BOOL)], [Field("errors", BOOL)]),
)
SUBSTITUTABLE_REPLY = [Field("infos", List(SUBSTITUTABLE))]
