"""Events of builds as messages, by dialect.

Three writers, one interface: Fruix's own clients get each event whole (as JSON in one result
message), clients of the Nix dialect get activities (a build, its log lines and phase, a transfer
below it), clients of the Guix dialect get trace lines (`guix_trace`). `event_reader` is the
client's side and understands the first two.

A builder's output is data in all of them: a line that looks like one of the peers' in-band commands
stays a log line.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from typing import Protocol

from fruix.late import late_import
from fruix.model.events import (
    BuildFailed,
    BuildFinished,
    BuildStarted,
    Event,
    LogLine,
    Message,
    Note,
    PhaseStarted,
    Progress,
    SubstitutionFailed,
    SubstitutionFinished,
    SubstitutionStarted,
    Waiting,
    to_json,
)
from fruix.model.storepath import StorePath
from fruix.overriding import override
from fruix.protocol import messages as wire
from fruix.protocol.activities import ActivityType, Level, ResultType
from fruix.protocol.guix_trace import GuixWriter
from fruix.protocol.options import ClientOptions
from fruix.protocol.realise_activities import Expected, RealiseActivities
from fruix.protocol.wire import FEATURE, Context, Dialect

TYPE_CHECKING = False  # what `typing` has, without loading it
if TYPE_CHECKING:
    import json
else:
    json = late_import("json")


class EventWriter(Protocol):
    """Turns events into messages; holds what a session has to remember for that."""

    def messages(self, event: Event) -> Iterable[wire.Message]:
        """The messages that tell a client of `event`."""

    def end(self) -> Iterable[wire.Message]:
        """What a client is told when all of a request has ended."""
        return ()


class OwnWriter(EventWriter):
    """For Fruix's own clients: each event whole, as JSON."""

    def __init__(self, options: ClientOptions) -> None:
        self._verbosity = options.verbosity

    @override
    def messages(self, event: Event) -> Iterable[wire.Message]:
        if isinstance(event, Message) and event.level > self._verbosity:
            return ()
        return (wire.Result(0, ResultType.EVENT, (json.dumps(to_json(event)),)),)


_IDS = itertools.count((os.getpid() << 32) + 1)


class NixWriter(EventWriter):
    """Activities. Their ids are this process's own, as Nix's: a client may have several connections.

    For a build with what its client expects of it, those around it too. `shows_lines`: lines of builders
    are texts, as clients of Nix 2.3 want them that show them.
    """

    def __init__(
        self, options: ClientOptions, expected: Expected | None = None, *, shows_lines: bool = False
    ) -> None:
        self._verbosity = options.verbosity
        self._shows_lines = shows_lines
        self._realise = None if expected is None else RealiseActivities(_IDS, expected)
        self._builds: dict[StorePath, int] = {}
        self._substitutions: dict[StorePath, tuple[int, int]] = {}  # and bytes that are copied
        self._transfers: dict[StorePath, int] = {}
        self._waits: dict[StorePath, int] = {}

    @override
    def messages(self, event: Event) -> Iterable[wire.Message]:
        said = self._messages(event)
        return said if self._realise is None else self._realise.around(event, said)

    @override
    def end(self) -> Iterable[wire.Message]:
        return () if self._realise is None else self._realise.end()

    def _messages(self, event: Event) -> Iterator[wire.Message]:
        match event:
            case BuildStarted():
                yield from self._build(event)
            case LogLine() if self._shows_lines:
                yield wire.Next(event.line + "\n")
            case LogLine():
                yield from _complaint(event.line)
                yield wire.Result(self._builds.get(event.drv, 0), ResultType.BUILD_LOG_LINE, (event.line,))
            case PhaseStarted():
                yield wire.Result(self._builds.get(event.drv, 0), ResultType.SET_PHASE, (event.phase,))
            case Progress():
                yield from self._progress(event)
            case Waiting():
                yield from self._end(self._waits, event.drv)
                yield self._begin(
                    self._waits, event.drv, ActivityType.BUILD_WAITING, event.reason, (str(event.drv),)
                )
            case BuildFinished() | BuildFailed():
                for running in (self._waits, self._transfers, self._builds):
                    yield from self._end(running, event.drv)
            case Message() | Note() if isinstance(event, Note) or event.level <= self._verbosity:
                yield wire.Next(event.text + "\n")
            case _:
                yield from self._substitution(event)

    def _build(self, event: BuildStarted) -> Iterator[wire.Message]:
        for running in (self._waits, self._builds):  # of the round before
            yield from self._end(running, event.drv)
        place = f" on '{event.machine}'" if event.machine else ""
        text = f"{_NIX_PURPOSES.get(event.purpose, event.purpose)} '{event.drv}'{place}"
        # Derivation, machine (empty: this one), round, rounds.
        fields = (str(event.drv), event.machine, event.round, event.rounds)
        yield self._begin(self._builds, event.drv, ActivityType.BUILD, text, fields)
        if event.why and self._verbosity >= Level.TALKATIVE:
            yield wire.Next(f"{event.drv.name}: {event.why}\n")

    def _substitution(self, event: Event) -> Iterator[wire.Message]:
        match event:
            case SubstitutionStarted():
                around, path = next(_IDS), str(event.path)
                self._substitutions[event.path] = around, event.nar_size
                source = (path, event.url)
                yield wire.StartActivity(around, Level.ERROR, ActivityType.SUBSTITUTE, "", source, 0)
                copying = self._builds[event.path] = next(_IDS)
                text, ends = f"copying path '{path}' from '{event.url}'", (*source, "local")
                yield wire.StartActivity(copying, Level.INFO, ActivityType.COPY_PATH, text, ends, around)
            case SubstitutionFinished() | SubstitutionFailed():
                yield from self._end_substitution(event)

    def _end_substitution(self, event: SubstitutionFinished | SubstitutionFailed) -> Iterator[wire.Message]:
        around, size = self._substitutions.pop(event.path, (0, 0))
        yield from self._end(self._transfers, event.path)
        if around:
            copying = self._builds.get(event.path, 0)
            if copying and isinstance(event, SubstitutionFinished):
                yield wire.Result(copying, ResultType.PROGRESS, (size, size, 0, 0))
            yield from self._end(self._builds, event.path)
            yield wire.StopActivity(around)
        if isinstance(event, SubstitutionFailed):
            yield wire.Next(f"error: {event.message}\n")

    def _begin(
        self,
        running: dict[StorePath, int],
        drv: StorePath,
        kind: ActivityType,
        text: str,
        fields: tuple[int | str, ...],
    ) -> wire.Message:
        running[drv] = next(_IDS)
        parent = self._builds.get(drv, 0) if running is not self._builds else 0
        return wire.StartActivity(running[drv], Level.INFO, kind, text, fields, parent)

    def _end(self, running: dict[StorePath, int], drv: StorePath) -> Iterator[wire.Message]:
        if (activity := running.pop(drv, 0)) != 0:
            yield wire.StopActivity(activity)

    def _progress(self, event: Progress) -> Iterator[wire.Message]:
        if event.drv in self._substitutions and "://" not in event.what:
            return  # a file of this machine, which nobody downloads
        if event.drv not in self._transfers:
            text = f"downloading '{event.what}'"
            yield self._begin(self._transfers, event.drv, ActivityType.FILE_TRANSFER, text, (event.what,))
        yield wire.Result(self._transfers[event.drv], ResultType.PROGRESS, (event.done, event.total, 0, 0))


def _complaint(line: str) -> Iterator[wire.Message]:
    """What nix-daemon says of a builder's line that is marked as a message, and is none."""
    if not line.startswith(_MARK):
        return
    try:
        found = json.loads(line[len(_MARK) :])
    except (ValueError, RecursionError) as error:
        yield wire.Next(f"bad JSON log message from the derivation builder: {error}\n")
        return
    if not (isinstance(found, dict) and isinstance(found.get("action"), str)):
        yield wire.Next(
            "warning: Unable to handle a JSON message from the derivation builder: it has no text 'action'\n"
        )


_MARK = "@nix "  # and JSON
_NIX_PURPOSES = {"build": "building", "check": "checking outputs of", "repair": "repairing outputs of"}


def event_writer(
    context: Context, options: ClientOptions, system: str, expected: Expected | None = None
) -> EventWriter:
    """The writer that suits a session.

    Args:
        context: what was agreed on.
        options: what the client set.
        system: this machine's system type, like `x86_64-linux`.
        expected: for a build: what the client was told of it before.
    """
    if context.dialect is Dialect.GUIX:
        return GuixWriter(options, system)
    if FEATURE in context.features:
        return OwnWriter(options)
    shows_lines = context.minor < wire.RECORD_ERRORS_SINCE and options.build_verbosity == 0
    return NixWriter(options, expected, shows_lines=shows_lines)
