"""Events of builds as the Guix dialect tells of them: text with trace lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fruix.model.buildresult import BuildStatus
from fruix.model.events import (
    BuildFailed,
    BuildFinished,
    BuildStarted,
    Event,
    LogLine,
    Message,
    Note,
    Progress,
    SubstitutionFailed,
    SubstitutionFinished,
    SubstitutionStarted,
)
from fruix.model.reason_rows import OTHER
from fruix.model.reasons import ends_request, reason, row_of, text_of
from fruix.model.storepath import StorePath
from fruix.protocol import messages as wire
from fruix.protocol.options import ClientOptions

_PURPOSES = {"build": "building", "check": "checking", "repair": "repairing"}

# How the trace of a failed build ends.
_ENDINGS = {
    BuildStatus.TIMED_OUT: "timeout",
    BuildStatus.LOG_LIMIT_EXCEEDED: "timeout",
    BuildStatus.CACHED_FAILURE: "cached",
}


class _Downloads:
    """Transfers as the Guix dialect tells of them.

    Said are what is fetched (the output), from where, how big (`-`: not known), how far.
    """

    def __init__(self) -> None:
        self._outputs: dict[StorePath, str] = {}
        # Output, URL and size of those that have begun.
        self._running: dict[StorePath, tuple[str, str, str]] = {}

    def begin(self, path: StorePath, output: str) -> None:
        """A build that may turn out to be one, or a path that is fetched."""
        self._outputs[path] = output

    def progress(self, event: Progress) -> list[str]:
        """The trace lines that tell of a transfer so far, without the `@` that marks them."""
        now = (self._outputs.get(event.drv, ""), event.what, str(event.total or "-"))
        before = self._running.get(event.drv)
        self._running[event.drv] = now
        about = " ".join(now)
        begin = [] if before is not None and before[:2] == now[:2] else [f"download-started {about}"]
        return [*begin, f"download-progress {about} {event.done}"]

    def end(self, drv: StorePath, *, success: bool) -> list[str]:
        """Forget a build that has ended; the traces that say so, without the mark."""
        self._outputs.pop(drv, None)
        last = self._running.pop(drv, None)
        return [f"download-succeeded {' '.join(last)}"] if last and success else []


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
        """Yield the text that tells a client of `event`, if it wants to know; there is at most one."""
        if isinstance(event, Progress):
            text = "".join(map(self._trace, self._downloads.progress(event))) if self._extended else ""
        elif isinstance(event, Note):
            text = text_of(event.reason or reason(OTHER, text=event.text), event.drv, guix=True) + "\n"
        else:
            text = self._text(event)
        if text:
            yield wire.Next(text)

    def end(self) -> Iterable[wire.Message]:
        """Nothing: the last trace has told it."""
        return ()

    def _text(self, event: Event) -> str:
        match event:
            case BuildStarted():
                self._pids[event.drv] = event.pid
                self._downloads.begin(event.drv, next(iter(event.outputs.values()), ""))
                system = event.system or self._system
                directory, slash, name = event.log_file.rpartition("/")
                log_file = f"{directory}{2 * slash}{name}"  # as guix-daemon writes it
                started = f"build-started {event.drv} - {system} {log_file} {event.pid}"
                return self._former_round(event) + self._purpose(event) + self._trace(started)
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
                return self._substitution(event)

    def _substitution(self, event: Event) -> str:
        match event:
            case SubstitutionStarted():
                self._downloads.begin(event.path, str(event.path))
                said = f"fetching path `{event.path}'...\n" if self._options.verbosity >= 1 else ""
                return said + self._trace(f"substituter-started {event.path} substitute")
            case SubstitutionFinished():
                fetched = self._downloads.end(event.path, success=True) if self._extended else []
                return "".join(map(self._trace, [*fetched, f"substituter-succeeded {event.path}"]))
            case SubstitutionFailed():
                return self._not_fetched(event)
            case _:
                return ""

    def _former_round(self, event: BuildStarted) -> str:
        """Of a check in several rounds, each but the last ends here: once per output that was compared."""
        times = len(event.outputs) if event.purpose == "check" and event.round > 1 else 0
        return times * self._trace(f"build-succeeded {event.drv} -")

    def _purpose(self, event: BuildStarted) -> str:
        if self._options.verbosity < 1:
            return ""
        paths = ", ".join(f"`{path}'" for path in event.outputs.values())
        rounds = f" (round {event.round}/{event.rounds})" if event.rounds > 1 else ""
        return f"{_PURPOSES.get(event.purpose, event.purpose)} path(s) {paths}{rounds}\n"

    def _failed(self, event: BuildFailed) -> str:
        why = event.reason or reason(OTHER, text=event.message)
        self._downloads.end(event.drv, success=False)
        # There, asking for a path that nobody can provide is no failure at all.
        if ends_request(why) or event.status is BuildStatus.NO_SUBSTITUTERS:
            return ""
        said = text_of(why, event.drv, guix=True)
        before = ""
        if why["kind"] == "hash-mismatch":
            hashes = f"{why.get('algorithm')} {why.get('expected32')} {why.get('got32')}"
            before = self._trace(f"hash-mismatch {why.get('path')} {hashes}")
        if why["kind"] == "system":
            before = self._trace(f"unsupported-platform {event.drv} {why.get('wanted')}")
        if not row_of(why).traced:
            return f"{said}\n"
        started = int(self._pids.pop(event.drv, None) is not None)
        ending = _ENDINGS.get(event.status, f"{started} {said.partition(chr(10))[0]}")
        return f"{before}{said}\n" + self._trace(f"build-failed {event.drv} - {ending}")

    def _not_fetched(self, event: SubstitutionFailed) -> str:
        why = event.reason or reason(OTHER, text=event.message)
        self._downloads.end(event.path, success=False)
        said = text_of(why, event.path, guix=True)
        before = ""
        if why["kind"] == "substitute-mismatch":
            hashes = " ".join(str(why.get(name)).rpartition(":")[2] for name in ("expected", "got"))
            before = self._trace(f"hash-mismatch {event.path} sha256 {hashes}")
        return f"{before}{said}\n" + self._trace(f"substituter-failed {event.path} {said}")

    def _trace(self, text: str) -> str:
        return f"@ {text}\n" if self._options.print_build_trace else ""
