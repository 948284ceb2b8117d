"""Operations of Fruix's own on what stores hold, with the requests that no other daemon knows.

They are offered in the Nix dialect only to clients that name the feature in the greeting.
"""

from __future__ import annotations

from collections.abc import Collection

from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath
from fruix.protocol.common_operations import ASK, ASK_MANY, DONE, ExportPath, ImportPaths
from fruix.protocol.compound import List
from fruix.protocol.model_codecs import KEYED_INFO, PATHS
from fruix.protocol.schema import Body, Field, Operation, Request, row
from fruix.protocol.wire import BOOL

FEATURE = "fruix-1"


class QueryClosure(Request[Collection[PathInfo]]):
    """What is known of some valid paths and of all that they need, references first."""

    paths: tuple[StorePath, ...]


class QueryRequisites(Request[Collection[StorePath]]):
    """Some valid paths and all that they need."""

    paths: tuple[StorePath, ...]


OWN: tuple[Operation, ...] = (
    row(
        0x46520040,
        ExportPath,
        [*ASK, Field("sign", BOOL)],
        DONE,
        reply_body=Body.MESSAGES,
        feature=FEATURE,
    ),
    row(
        0x46520041,
        ImportPaths,
        [Field("unchecked", BOOL)],
        PATHS,
        body=Body.FRAMED,
        feature=FEATURE,
    ),
    row(0x46520042, QueryClosure, ASK_MANY, List(KEYED_INFO), feature=FEATURE),
    row(0x46520043, QueryRequisites, ASK_MANY, PATHS, feature=FEATURE),
)
