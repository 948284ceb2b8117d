"""The operations of the Guix dialect, minor versions 0x63 (Guix 1.4) and 0x64 (1.5)."""

from __future__ import annotations

from fruix.protocol.common_operations import (
    ANSWER_PATH,
    ANSWER_PATHS,
    ASK,
    ASK_MANY,
    DONE,
    SHARED,
    SUBSTITUTABLE_REPLY,
)
from fruix.protocol.model_codecs import GUIX_INFO, PATHS, SUBSTITUTABLE_DETAILS
from fruix.protocol.options import GUIX_OPTIONS
from fruix.protocol.schema import Body, Field, Operation, row
from fruix.protocol.wire import BOOL, NAME, Constant, List, Maybe

OLDEST = 0x60  # what tells this dialect from the other
NEWEST = 0x64

GUIX: tuple[Operation, ...] = (
    *SHARED,
    row(
        7,
        "AddToStore",
        [
            Field("name", NAME),
            # 0 would mean "recursive, SHA-256, whatever follows"; no client in use sends it.
            Field("as given", Constant(1)),
            Field("recursive", BOOL),
            Field("algorithm", NAME),
        ],
        ANSWER_PATH,
        body=Body.NAR,
    ),
    row(16, "ExportPath", [*ASK, Field("sign", BOOL)], DONE, reply_body=Body.MESSAGES),
    row(19, "SetOptions", [Field("options", GUIX_OPTIONS)]),
    row(21, "QuerySubstitutablePathInfo", ASK, [Field("info", Maybe(SUBSTITUTABLE_DETAILS))]),
    row(26, "QueryPathInfo", ASK, [Field("info", GUIX_INFO)]),
    # In the order in which they came.
    row(27, "ImportPaths", (), [Field("paths", PATHS)], body=Body.MESSAGES),
    row(30, "QuerySubstitutablePathInfos", ASK_MANY, SUBSTITUTABLE_REPLY),
    row(31, "QueryValidPaths", ASK_MANY, ANSWER_PATHS),
    row(80, "BuiltinBuilders", (), [Field("names", List(NAME))]),
    row(81, "SubstituteURLs", (), [Field("urls", List(NAME))], since=0x64),
)
