"""Operations of Fruix's own on what stores hold, with the requests that no other daemon knows.

They are offered in the Nix dialect only to clients that name the feature in the greeting.
"""

from __future__ import annotations

from collections.abc import Collection

from fruix.model.finding import Finding, FindingKind
from fruix.model.garbage import Collected, Goal, LiveStep, WhyLive
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath
from fruix.protocol.common_operations import (
    ASK,
    ASK_MANY,
    DONE,
    DescribeHostView,
    ExportPath,
    ImportPaths,
)
from fruix.protocol.compound import List, Maybe
from fruix.protocol.model_codecs import KEYED_INFO, PATH, PATHS
from fruix.protocol.records import Body, Field, Operation, Record, Request, row
from fruix.protocol.wire import BOOL, FEATURE, NAME, TEXT, U64, Converted

FINDING_KIND = Converted(lambda text, _: _kind(text), lambda kind, _: kind.value)
FINDING = Record(
    Finding,
    (Field("kind", FINDING_KIND), Field("subject", TEXT), Field("expected", TEXT), Field("found", TEXT)),
)


def _kind(text: str) -> FindingKind:
    """The kind of that name; daemons of later versions may have others."""
    try:
        return FindingKind(text)
    except ValueError:
        return FindingKind.ELSEWHERE


class QueryClosure(Request[Collection[PathInfo]]):
    """What is known of some valid paths and of all that they need, references first."""

    paths: tuple[StorePath, ...]


class QueryRequisites(Request[Collection[StorePath]]):
    """Some valid paths and all that they need."""

    paths: tuple[StorePath, ...]


class AddTexts(Request[None]):
    """Add texts, which follow in a stream (`streams.read_texts`), each after those that it refers to.

    Their paths are no news to whoever sends them. Those before one that is refused stay.
    """

    count: int


class CollectStore(Request[Collected]):
    """Collect garbage until a goal is reached; progress comes as events."""

    goal: Goal


class QueryWhyLive(Request[WhyLive]):
    """What keeps a valid path alive."""

    path: StorePath


_NUMBER = Maybe(U64)
_GOAL = Record(
    Goal,
    (
        Field("max_freed", _NUMBER),
        Field("min_free", _NUMBER),
        Field("older_than", _NUMBER),
        Field("dry_run", BOOL),
    ),
)
_COLLECTED = Record(
    Collected,
    (Field("live", U64), Field("deleted", U64), Field("freed", U64), Field("foreign", List(TEXT))),
)
_WHY_LIVE = Record(
    WhyLive,
    (
        Field("root", NAME),
        Field("steps", List(Record(LiveStep, (Field("path", PATH), Field("how", NAME))))),
    ),
)


class CheckStore(Request[Collection[Finding]]):
    """Look through the whole store; with `repair`, mend what can be, and tell of what can't."""

    contents: bool
    repair: bool


OWN: tuple[Operation, ...] = (
    row(0x46520006, DescribeHostView, [Field("name", NAME)], TEXT, feature=FEATURE),
    row(0x46520010, CollectStore, [Field("goal", _GOAL)], _COLLECTED, feature=FEATURE),
    row(0x46520011, QueryWhyLive, ASK, _WHY_LIVE, feature=FEATURE),
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
    row(
        0x46520030,
        CheckStore,
        [Field("contents", BOOL), Field("repair", BOOL)],
        List(FINDING),
        feature=FEATURE,
    ),
    row(0x46520044, AddTexts, [Field("count", U64)], DONE, body=Body.FRAMED, feature=FEATURE),
    row(0x46520042, QueryClosure, ASK_MANY, List(KEYED_INFO), feature=FEATURE),
    row(0x46520043, QueryRequisites, ASK_MANY, PATHS, feature=FEATURE),
)
