"""The operations of the Nix dialect, minor versions 34 (Nix 2.8) to 38, and the extensions of our own clients.

A later version's field is a `since`, a later operation a row. Our own operations are offered only to clients that name the
feature `fruix-1` in the greeting; nobody else can send or see them.
"""

from __future__ import annotations

from fruix.protocol.build_status import ACTIVE_BUILD, BUILD_PLAN, HISTORIES, HOST_VIEW
from fruix.protocol.common_operations import (
    ANSWER_PATHS,
    ASK,
    ASK_MANY,
    DERIVED_PATHS,
    DONE,
    SHARED,
    SUBSTITUTABLE_REPLY,
)
from fruix.protocol.model_codecs import (
    ADDRESS,
    BASE_NAME,
    BASIC_DERIVATION,
    BUILD_RESULT,
    KEYED_INFO,
    MISSING,
    MODE,
    OPTIONAL_PATH,
    PATH,
    PATHS,
    REALISATION,
    RESULT_FOR,
    SIGNATURES,
    SUBSTITUTABLE_DETAILS,
    UNKEYED_INFO,
)
from fruix.protocol.options import NIX_OPTIONS
from fruix.protocol.schema import Body, Field, Operation, row
from fruix.protocol.wire import BOOL, LIST_LIMIT, NAME, TEXT, U64, List, Map, Maybe

OLDEST = 34
NEWEST = 38
FEATURE = "fruix-1"

NIX: tuple[Operation, ...] = (
    *SHARED,
    row(
        7,
        "AddToStore",
        [Field("name", NAME), Field("method", NAME), Field("references", PATHS), Field("repair", BOOL)],
        [Field("info", KEYED_INFO)],
        body=Body.FRAMED,
    ),
    row(19, "SetOptions", [Field("options", NIX_OPTIONS)]),
    row(21, "QuerySubstitutablePathInfo", ASK, [Field("info", Maybe(SUBSTITUTABLE_DETAILS))]),
    row(26, "QueryPathInfo", ASK, [Field("info", Maybe(UNKEYED_INFO))]),
    row(
        30,
        "QuerySubstitutablePathInfos",
        [Field("paths", Map(PATH, ADDRESS, limit=LIST_LIMIT))],
        SUBSTITUTABLE_REPLY,
    ),
    row(31, "QueryValidPaths", [*ASK_MANY, Field("substitute", BOOL)], ANSWER_PATHS),
    row(
        36,
        "BuildDerivation",
        [Field("drv", PATH), Field("derivation", BASIC_DERIVATION), Field("mode", MODE)],
        [Field("result", BUILD_RESULT)],
    ),
    row(37, "AddSignatures", [Field("path", PATH), Field("signatures", SIGNATURES)], DONE),
    row(38, "NarFromPath", ASK, reply_body=Body.NAR),
    row(
        39,
        "AddToStoreNar",
        [Field("info", KEYED_INFO), Field("repair", BOOL), Field("unchecked", BOOL)],
        body=Body.FRAMED,
    ),
    row(40, "QueryMissing", [Field("requests", DERIVED_PATHS)], [Field("missing", MISSING)]),
    row(41, "QueryDerivationOutputMap", ASK, [Field("outputs", Map(NAME, OPTIONAL_PATH))]),
    row(42, "RegisterDrvOutput", [Field("realisation", REALISATION)]),
    row(43, "QueryRealisation", [Field("id", NAME)], [Field("realisations", List(REALISATION))]),
    row(44, "AddMultipleToStore", [Field("repair", BOOL), Field("unchecked", BOOL)], body=Body.FRAMED),
    row(45, "AddBuildLog", [Field("drv", BASE_NAME)], DONE, body=Body.FRAMED),
    row(
        46,
        "BuildPathsWithResults",
        [Field("requests", DERIVED_PATHS), Field("mode", MODE)],
        [Field("results", List(RESULT_FOR))],
    ),
    row(47, "AddPermRoot", [Field("path", PATH), Field("link", NAME)], [Field("link", NAME)]),
    row(
        0x46520001,
        "QueryHostView",
        [Field("name", NAME)],
        [Field("view", HOST_VIEW)],
        feature=FEATURE,
    ),
    row(0x46520005, "QueryHostViews", (), [Field("histories", HISTORIES)], feature=FEATURE),
    row(
        0x46520004,
        "EnterSandbox",  # the terminal's outer end comes with the message that says what runs
        [Field("drv", PATH), Field("terminal", NAME), Field("command", List(TEXT)), Field("fresh", BOOL)],
        [Field("status", U64)],
        feature=FEATURE,
    ),
    row(0x46520002, "QueryActiveBuilds", (), [Field("builds", List(ACTIVE_BUILD))], feature=FEATURE),
    row(
        0x46520003,
        "QueryPlan",
        [Field("requests", DERIVED_PATHS), Field("mode", MODE)],
        [Field("plan", BUILD_PLAN)],
        feature=FEATURE,
    ),
)
