"""Events of builds as messages, by dialect, and back.

Three writers, one interface: our own clients get each event whole (as JSON in one result message), clients of the Nix dialect get
activities (a build, its log lines and phase, a transfer below it), clients of the Guix dialect get trace lines. `EventReader`
is the client's side and understands the first two.

A builder's output is data in all of them: a line that looks like one of the peers' in-band commands stays a log line.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from fruix.errors import FormatError
from fruix.model.buildresult import BuildStatus
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
    Waiting,
    from_json,
    to_json,
)
from fruix.model.reasons import OTHER, reason, text_of
from fruix.model.storepath import StorePath
from fruix.protocol import messages as wire
from fruix.protocol.messages import ActivityType, Level, ResultType
from fruix.protocol.nix import FEATURE
from fruix.protocol.options import ClientOptions
from fruix.protocol.wire import Context, Dialect


class EventWriter(Protocol):
    """From events to messages; holds what a session has to remember for that."""

    def messages(self, event: Event) -> Iterable[wire.Message]:
        """The messages that tell a client of `event`."""


class OwnWriter:
    """For our own clients: nothing is lost."""

    def __init__(self, options: ClientOptions) -> None:
        self._verbosity = options.verbosity

    def messages(self, event: Event) -> Iterable[wire.Message]:
        """See `EventWriter`."""
        if isinstance(event, Message) and event.level > self._verbosity:
            return ()
        return (wire.Result(0, ResultType.EVENT, (json.dumps(to_json(event)),)),)


class NixWriter:
    """Activities. Ids are unique within the session, which is all that clients need."""

    def __init__(self, options: ClientOptions) -> None:
        self._verbosity = options.verbosity
        self._ids = itertools.count(1)
        self._builds: dict[StorePath, int] = {}
        self._transfers: dict[StorePath, int] = {}
        self._waits: dict[StorePath, int] = {}

    def messages(self, event: Event) -> Iterator[wire.Message]:
        """See `EventWriter`."""
        match event:
            case BuildStarted():
                for running in (self._waits, self._builds):  # of the round before
                    yield from self._end(running, event.drv)
                yield self._begin(
                    self._builds,
                    event.drv,
                    ActivityType.BUILD,
                    f"{_NIX_PURPOSES.get(event.purpose, event.purpose)} '{event.drv}'",
                    # Derivation, machine (this one), round, rounds.
                    (str(event.drv), "", event.round, event.rounds),
                )
            case LogLine():
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

    def _begin(
        self,
        running: dict[StorePath, int],
        drv: StorePath,
        kind: ActivityType,
        text: str,
        fields: tuple[int | str, ...],
    ) -> wire.Message:
        running[drv] = next(self._ids)
        parent = self._builds.get(drv, 0) if running is not self._builds else 0
        return wire.StartActivity(running[drv], Level.INFO, kind, text, fields, parent)

    def _end(self, running: dict[StorePath, int], drv: StorePath) -> Iterator[wire.Message]:
        if (activity := running.pop(drv, 0)) != 0:
            yield wire.StopActivity(activity)

    def _progress(self, event: Progress) -> Iterator[wire.Message]:
        if event.drv not in self._transfers:
            text = f"downloading '{event.what}'"
            yield self._begin(self._transfers, event.drv, ActivityType.FILE_TRANSFER, text, (event.what,))
        yield wire.Result(self._transfers[event.drv], ResultType.PROGRESS, (event.done, event.total, 0, 0))


_NIX_PURPOSES = {"build": "building", "check": "checking outputs of", "repair": "repairing outputs of"}
_GUIX_PURPOSES = {"build": "building", "check": "checking", "repair": "repairing"}

# How the trace of a failed build ends.
_GUIX_ENDINGS = {
    BuildStatus.TIMED_OUT: "timeout",
    BuildStatus.LOG_LIMIT_EXCEEDED: "timeout",
    BuildStatus.CACHED_FAILURE: "cached",
}
# Failures before there was anything to trace.
_GUIX_UNTRACED = frozenset(
    {"dependencies", "missing-derivation", "missing-outputs", "no-slots", "irreparable"}
)


class _Downloads:
    """Transfers as the Guix dialect tells of them: what is fetched (the output), from where, how big (`-`: not known), how far."""

    def __init__(self) -> None:
        self._outputs: dict[StorePath, str] = {}
        self._running: dict[StorePath, str] = {}  # file, URL and size of those that have begun

    def begin(self, event: BuildStarted) -> None:
        """A build that may turn out to be one."""
        self._outputs[event.drv] = next(iter(event.outputs.values()), "")

    def progress(self, event: Progress) -> list[str]:
        """Traces, without the mark."""
        about = f"{self._outputs.get(event.drv, '')} {event.what} {event.total or '-'}"
        known = self._running.get(event.drv, "").split(" ")[:2] == about.split(" ")[:2]
        self._running[event.drv] = about
        begin = [] if known else [f"download-started {about}"]
        return [*begin, f"download-progress {about} {event.done}"]

    def end(self, drv: StorePath, *, success: bool) -> list[str]:
        """The build has ended."""
        self._outputs.pop(drv, None)
        about = self._running.pop(drv, None)
        return [f"download-succeeded {about}"] if about and success else []


class GuixWriter:
    """Trace lines, if the client wants them; with multiplexed output each line is preceded by whose it is."""

    def __init__(self, options: ClientOptions, system: str) -> None:
        self._options = options
        self._system = system
        self._multiplexed = options.overrides.get("multiplexed-build-output") == "true"
        self._log = options.verbosity >= options.build_verbosity
        self._pids: dict[StorePath, int] = {}
        self._downloads = _Downloads()
        self._extended = options.overrides.get("print-extended-build-trace") == "1"

    def messages(self, event: Event) -> Iterator[wire.Message]:
        """See `EventWriter`."""
        if isinstance(event, Progress):
            text = "".join(map(self._trace, self._downloads.progress(event))) if self._extended else ""
        elif isinstance(event, Note):
            text = text_of(event.reason or reason(OTHER, text=event.text), event.drv, guix=True) + "\n"
        else:
            text = self._text(event)
        if text:
            yield wire.Next(text)

    def _text(self, event: Event) -> str:
        match event:
            case BuildStarted():
                self._pids[event.drv] = event.pid
                self._downloads.begin(event)
                system = event.system or self._system
                started = f"build-started {event.drv} - {system} {event.log_file} {event.pid}"
                return self._purpose(event) + self._trace(started)
            case LogLine() if self._log:
                line = event.line + "\n"
                size = len(line.encode("utf-8", "surrogateescape"))
                return (
                    f"@ build-log {self._pids.get(event.drv, 0)} {size}\n{line}"
                    if self._multiplexed
                    else line
                )
            case BuildFinished():
                # After a check once per output that was compared, and once more.
                times = len(event.outputs) + 1 if event.checked else 1
                fetched = self._downloads.end(event.drv, success=True)
                return "".join(map(self._trace, [*fetched, *[f"build-succeeded {event.drv} -"] * times]))
            case BuildFailed():
                return self._failed(event)
            case Message() if event.level <= self._options.verbosity:
                return event.text + "\n"
            case _:
                return ""

    def _purpose(self, event: BuildStarted) -> str:
        if self._options.verbosity < 1:
            return ""
        paths = ", ".join(f"`{path}'" for path in event.outputs.values())
        rounds = f" (round {event.round}/{event.rounds})" if event.rounds > 1 else ""
        return f"{_GUIX_PURPOSES.get(event.purpose, event.purpose)} path(s) {paths}{rounds}\n"

    def _failed(self, event: BuildFailed) -> str:
        why = event.reason or reason(OTHER, text=event.message)
        self._downloads.end(event.drv, success=False)
        said = text_of(why, event.drv, guix=True)
        before = ""
        if why["kind"] == "hash-mismatch":
            hashes = f"{why.get('algorithm')} {why.get('expected32')} {why.get('got32')}"
            before = self._trace(f"hash-mismatch {why.get('path')} {hashes}")
        if why["kind"] == "system":
            before = self._trace(f"unsupported-platform {event.drv} {why.get('wanted')}")
        if why["kind"] in _GUIX_UNTRACED:
            return f"{said}\n"
        started = int(self._pids.pop(event.drv, None) is not None)
        ending = _GUIX_ENDINGS.get(event.status, f"{started} {said.partition(chr(10))[0]}")
        return f"{before}{said}\n" + self._trace(f"build-failed {event.drv} - {ending}")

    def _trace(self, text: str) -> str:
        return f"@ {text}\n" if self._options.print_build_trace else ""


def event_writer(context: Context, options: ClientOptions, system: str) -> EventWriter:
    """The writer that suits a session.

    Args:
        context: what was agreed on.
        options: what the client set.
        system: this machine's system type, like `x86_64-linux`.
    """
    if context.dialect is Dialect.GUIX:
        return GuixWriter(options, system)
    return OwnWriter(options) if FEATURE in context.features else NixWriter(options)


class EventReader:
    """From messages to events, on the client's side.

    A daemon that isn't ours says less: names are derived from paths, moments are those of arrival, and that a build has stopped is
    all that is known of its end.
    """

    def __init__(self, context: Context, clock: Callable[[], float]) -> None:
        self._directory = context.directory
        self._clock = clock
        self._builds: dict[int, tuple[StorePath, float]] = {}
        self._transfers: dict[int, tuple[StorePath, str]] = {}

    def events(self, message: wire.Message) -> Iterator[Event]:
        """What a message tells; nothing for what has no event."""
        match message:
            case wire.Next():
                yield Message(Level.NOTICE, message.text.removesuffix("\n"))
            case wire.StartActivity():
                yield from self._started(message)
            case wire.Result(type=ResultType.EVENT, fields=(str(text),)):
                yield _own_event(text, self._directory)
            case wire.Result():
                yield from self._result(message)
            case wire.StopActivity():
                self._transfers.pop(message.id, None)
                if message.id in self._builds:
                    drv, begun = self._builds.pop(message.id)
                    yield BuildFinished(drv, self._clock() - begun, {})

    def _started(self, message: wire.StartActivity) -> Iterator[Event]:
        match message.type, message.fields:
            case ActivityType.BUILD, (str(text), *_):
                drv, now = StorePath.parse(text, self._directory), self._clock()
                self._builds[message.id] = drv, now
                yield BuildStarted(drv, drv.name.removesuffix(".drv"), time=now)
            case ActivityType.BUILD_WAITING, (str(text), *_):
                yield Waiting(StorePath.parse(text, self._directory), message.text)
            case ActivityType.FILE_TRANSFER, (str(url), *_) if message.parent in self._builds:
                self._transfers[message.id] = self._builds[message.parent][0], url

    def _result(self, message: wire.Result) -> Iterator[Event]:
        match message.type, message.fields:
            case ResultType.BUILD_LOG_LINE, (str(line),) if message.id in self._builds:
                yield LogLine(self._builds[message.id][0], line)
            case ResultType.SET_PHASE, (str(phase),) if message.id in self._builds:
                yield PhaseStarted(self._builds[message.id][0], phase, self._clock())
            case ResultType.PROGRESS, (int(done), int(total), *_) if message.id in self._transfers:
                drv, url = self._transfers[message.id]
                yield Progress(drv, done, total, url)


def _own_event(text: str, directory: str) -> Event:
    try:
        return from_json(json.loads(text), directory)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"malformed event: {error}") from None
