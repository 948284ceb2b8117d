"""The state of one build while it runs.

Its fields change by its methods alone, in the order in which they stand here.

`build` opens it, prepares and goes through rounds; `execute` tells of the sandbox; `outcome` reads
it at the end, for the result, the events and the record.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from fruix.building.builders.prepared_builder import PreparedBuilder
from fruix.building.failures import FailedError
from fruix.building.outputs.modes import Compared, OutputSet
from fruix.building.parking import NextSandbox
from fruix.building.queue.allowance import Allowance
from fruix.building.queue.job import Job
from fruix.building.record.course import Course
from fruix.building.record.log import BuildLog
from fruix.building.record.record import BuildFacts, Ending, known_before
from fruix.building.record.record_file import part_of
from fruix.dataclass import dataclass, field
from fruix.hostview import ResolvedView
from fruix.model.events import LogLine, Note, PhaseStarted, Progress
from fruix.model.pathinfo import PathInfo
from fruix.model.reasons import Reason, reason, text_of
from fruix.model.storepath import StorePath
from fruix.sandbox import Exit, SandboxSpec


@dataclass(slots=True)
class RunState:
    """What is known of a build so far.

    Attributes:
        next_sandbox: what it does for the build after it.
        roots: what the store keeps until the outputs are registered.
        mode: what the build is for, once that is known.
        round: the one that runs; 0 before the first.
        rounds: how many there will be.
        course: what the builder's output has told in this round.
        shown: what the sandbox shows of the host view.
        known: the part of the record that was made while the builder ran.
        added: what the builder has come to know of the store in this round.
        infos: of the outputs by their names, once they are what they should be: whatever comes
            afterwards, it went well.
        hint: what to do about the reason.
        log: None: none was opened.
        last_lines: of the log, as it grows; None as well.
    """

    job: Job
    facts: BuildFacts
    allowance: Allowance
    next_sandbox: NextSandbox
    roots: set[StorePath] = field(default_factory=set)
    mode: str = "build"
    outputs: OutputSet | None = None
    log: BuildLog | None = None
    last_lines: Iterable[str] | None = None
    builder: PreparedBuilder | None = None
    round: int = 0
    rounds: int = 1
    course: Course = field(default_factory=Course)
    spec: SandboxSpec | None = None
    shown: ResolvedView | None = None
    known: str = ""
    exit: Exit | None = None
    infos: Mapping[str, PathInfo] | None = None
    reason: Reason = field(default_factory=dict)
    hint: str = ""
    kept: str = ""
    added: Sequence[StorePath] = ()
    early_notes: list[Note] = field(default_factory=list)  # told before the end
    late_notes: list[Note] = field(default_factory=list)  # and after it

    def hold(self, roots: set[StorePath]) -> None:
        """The store keeps from now on what is in this set."""
        self.roots = roots

    def set_mode(self, mode: str, outputs: OutputSet) -> None:
        """The outputs are locked.

        What is found of differences between results will be gathered in `outputs`.
        """
        self.mode, self.outputs = mode, outputs

    def open_log(self, log: BuildLog) -> None:
        """There is a log from now on, so there will be a record."""
        self.log, self.last_lines = log, log.last_lines

    def set_builder(self, builder: PreparedBuilder) -> None:
        """Note what will run."""
        self.builder = builder

    def begin_rounds(self) -> None:
        """It has a build user. Time that it waited for that doesn't count."""
        self.allowance.begin()
        self.rounds = self.facts.rounds

    def begin_round(self, number: int) -> None:
        """Another build of the same begins: what was counted belongs to the one before."""
        self.allowance.begin_round()
        self.round = number
        self.course = Course()
        self.added = ()

    def learn(self, added: Sequence[StorePath]) -> None:
        """Note what the builder has come to know of the store, so that outputs may refer to it."""
        self.added = added

    def enter_sandbox(self, spec: SandboxSpec, shown: ResolvedView | None) -> None:
        """A sandbox is about to be made."""
        self.spec, self.shown, self.known = spec, shown, ""

    def tell_known(self) -> str:
        """Make the part of the record that doesn't depend on how the build ends."""
        self.known = part_of(known_before(self.facts, self.builder, self.spec))
        return self.known

    def leave_sandbox(self, exited: Exit) -> None:
        """Nothing of the sandbox is alive any more."""
        self.exit = exited

    def succeed(self, infos: Mapping[str, PathInfo]) -> None:
        """The outputs are what they should be."""
        self.infos = infos

    def fail(self, why: Reason, hint: str) -> None:
        """Note the reason, and what to do about it."""
        self.reason, self.hint = why, hint

    def keep(self, name: str) -> None:
        """A copy of its directories has been made."""
        self.kept = name

    # What the log tells, as it comes

    def feed(self, text: str) -> None:
        """A line of the log: counted and passed on."""
        self.course.feed(text)
        self.job.emit(LogLine(self.job.path, text))

    def begin_phase(self, name: str) -> None:
        """The builder entered another phase.

        One that goes on announcing phases is no longer listened to.
        """
        if (now := self.course.begin_phase(name)) is not None:
            self.job.emit(PhaseStarted(self.job.path, name, now))

    def emit_progress(self, done: int, total: int, what: str) -> None:
        """Tell the clients how many of `total` bytes (0: unknown) of a URL have come."""
        self.job.emit(Progress(self.job.path, done, total, what))

    # What people are told besides

    def emit_note(self, why: Reason) -> None:
        """Tell the clients of a reason while the build goes on."""
        self.job.emit(self._note(why))

    def add_note(self, why: Reason, *, late: bool = False) -> None:
        """Something that the clients are to be told when the build has ended."""
        (self.late_notes if late else self.early_notes).append(self._note(why))

    def _note(self, why: Reason) -> Note:
        return Note(self.job.path, text_of(why, self.job.path), why)

    # What is asked of it

    def why_stop(self) -> FailedError | None:
        """What keeps the daemon's own work for it from going on."""
        why = reason("cancelled") if self.job.cancelled else self.allowance.passed()
        return FailedError(self.job.path, why) if why is not None else None

    def why_not_keep(self) -> FailedError | None:
        """The same for work that comes after a failure, also after one for want of time."""
        return FailedError(self.job.path, reason("cancelled")) if self.job.cancelled else None

    @property
    def made(self) -> Mapping[str, StorePath]:
        """The outputs' paths; those that contents give are known when the build has succeeded."""
        if self.infos is None:
            return self.job.derivation.output_paths
        return {name: info.path for name, info in self.infos.items()}

    @property
    def differences(self) -> list[Compared]:
        """Results that differ and should be equal."""
        return self.outputs.differences if self.outputs else []

    def difference_lines(self) -> list[str]:
        """The places in which they differ, a line each."""
        named = len(self.differences) > 1
        return [
            f"{found.path.name}/{place}" if named else str(place)
            for found in self.differences
            for place in found.places
        ]

    def ending(self) -> Ending:
        """What came of it, for the record."""
        return Ending(
            mode=self.mode,
            rounds=self.rounds,
            infos=self.infos or {},
            reason=self.reason,
            differences=self.differences,
            notes=(*self.early_notes, *self.late_notes),
            kept=self.kept,
            limits=self.allowance.widest(),
            machine=self.job.machine.uri if self.job.machine else "",
        )
