"""Records of Fruix's own operations: rows of `fruix ps`, rows of a plan, host views."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fruix.errors import FormatError
from fruix.model.activity import ActiveBuild, Client, State
from fruix.model.hostview import HostPackage, HostView
from fruix.model.planned import BuildPlan, PlannedBuild
from fruix.protocol import numbers
from fruix.protocol.compound import List, Map, Maybe, Pair
from fruix.protocol.model_codecs import OPTIONAL_PATH, PATH
from fruix.protocol.records import Field, Record
from fruix.protocol.wire import NAME, TEXT, U64, Codec, Context, Converted, Number


def _state(text: str, _context: Context) -> State:
    try:
        return State(text)
    except ValueError:
        raise FormatError(f"unknown state of a build '{text}'") from None


STATE = Converted(_state, lambda state, _context: str(state))
COUNT = Maybe(U64)


def _fields(layout: Sequence[tuple[str, str]]) -> tuple[Field, ...]:
    """The fields of a layout of `numbers`, some of which mean more than a text or a number."""
    return tuple(Field(name, _VALUES.get(name) or _KINDS[kind]) for name, kind in layout)


_KINDS: dict[str, Codec[Any]] = {"text": NAME, "number": U64, "count": COUNT}
_VALUES: dict[str, Codec[Any]] = {"drv": PATH, "state": STATE, "uid": Number((1 << 32) - 1)}
CLIENT = Record(Client, _fields(numbers.CLIENT))
_KINDS["CLIENT"] = List(CLIENT)
ACTIVE_BUILD = Record(ActiveBuild, _fields(numbers.ACTIVE_BUILD))

PLANNED_BUILD = Record(
    PlannedBuild,
    (
        Field("drv", PATH),
        Field("kind", NAME),
        Field("missing", List(NAME)),
        Field("needs", List(PATH)),
        Field("usual_ms", COUNT),
        Field("last", OPTIONAL_PATH),
    ),
)
BUILD_PLAN = Record(
    BuildPlan, (Field("builds", List(PLANNED_BUILD)), Field("jobs", U64), Field("problems", List(TEXT)))
)

HOST_PACKAGE = Record(HostPackage, (Field("version", NAME), Field("paths", List(NAME))))
HOST_VIEW = Record(
    HostView,
    (
        Field("name", NAME),
        Field("fingerprint", NAME),
        Field("tools", Map(NAME, NAME)),
        Field("path", List(NAME)),
        Field("packages", Map(NAME, HOST_PACKAGE)),
    ),
)
HISTORIES = Map(NAME, List(Pair(NAME, U64)))
