"""Records of Fruix's own operations: rows of `fruix ps`, rows of a plan, host views."""

from __future__ import annotations

from fruix.errors import FormatError
from fruix.model.activity import ActiveBuild, Client, State
from fruix.model.hostview import HostPackage, HostView
from fruix.model.planned import BuildPlan, PlannedBuild
from fruix.protocol.compound import List, Map, Maybe, Pair
from fruix.protocol.model_codecs import OPTIONAL_PATH, PATH
from fruix.protocol.records import Field, Record
from fruix.protocol.wire import NAME, TEXT, U64, Context, Converted, Number


def _state(text: str, _context: Context) -> State:
    try:
        return State(text)
    except ValueError:
        raise FormatError(f"unknown state of a build '{text}'") from None


STATE = Converted(_state, lambda state, _context: str(state))
COUNT = Maybe(U64)

CLIENT = Record(Client, (Field("uid", Number((1 << 32) - 1)), Field("user", NAME), Field("pid", U64)))

ACTIVE_BUILD = Record(
    ActiveBuild,
    (
        Field("drv", PATH),
        Field("kind", NAME),
        Field("state", STATE),
        Field("submitted_ms", U64),
        Field("started_ms", U64),
        Field("phase", NAME),
        Field("phase_started_ms", U64),
        Field("usual_ms", COUNT),
        Field("pid", U64),
        Field("cpu_us", COUNT),
        Field("memory", COUNT),
        Field("processes", COUNT),
        Field("log_file", NAME),
        Field("clients", List(CLIENT)),
    ),
)

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
