"""What is known about one attempt to build one derivation, collected while it runs and written down as its record."""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from fruix.building.failures import FailedError
from fruix.building.outputs.modes import Compared, Subject
from fruix.building.plan.goals import contract_name
from fruix.building.queue.allowance import Allowance
from fruix.building.queue.job import Job
from fruix.building.record.log import BuildLog
from fruix.building.record.test_counts import TestSummary
from fruix.building.run.limits import Limits
from fruix.model.attributes import Attributes
from fruix.model.buildresult import BuildResult
from fruix.model.events import LogLine, Note, PhaseStarted, Progress
from fruix.model.hostview import HostView
from fruix.model.pathinfo import PathInfo
from fruix.model.reasons import Reason, reason, text_of
from fruix.model.storepath import StorePath
from fruix.sandbox import Exit, SandboxSpec, back_end

MOST_PHASES = 1000
# As the shell shows a command before it runs it, where PS4 is `$ `; in a subshell the first character is doubled.
_COMMAND = re.compile(r"\$+ (.*)")
_NO_MORE = "set +x"


@dataclass(slots=True)
class Attempt:
    """Grows from `started` to `result`; `record()` is its JSON form."""

    job: Job
    log_file: str
    started: float = field(default_factory=time.time)
    spec: SandboxSpec | None = None
    view: HostView | None = None
    attributes: Attributes = field(default_factory=Attributes)
    inputs: int = 0
    phases: list[dict[str, Any]] = field(default_factory=list)
    command: str = ""  # the last one that the phase showed
    tests: TestSummary = field(default_factory=TestSummary)
    exit: Exit | None = None
    infos: list[PathInfo] = field(default_factory=list)
    settled: bool = False  # the outputs are what they should be: whatever comes afterwards, it went well
    source: str = ""  # where a fetched file came from
    allowance: Allowance = field(init=False)  # once it is run
    purpose: str = "build"
    round: int = 0
    rounds: int = 1
    began: bool = False  # there is a log
    subject: Subject | None = None
    reason: Reason = field(default_factory=dict)
    hint: str = ""  # what to do about the reason
    kept: str = ""
    last_lines: Iterable[str] = ()  # of the log, as it grows
    early_notes: list[Note] = field(default_factory=list)  # told before the end
    late_notes: list[Note] = field(default_factory=list)  # and after it

    @property
    def contract(self) -> str:
        """The name of the build's contract."""
        return contract_name(self.job.derivation, self.job.options.contract)

    @property
    def limits(self) -> Limits:
        """Those of all who wait taken together."""
        return self.allowance.widest()

    def why_stop(self) -> FailedError | None:
        """What keeps the daemon's own work for it from going on."""
        why = reason("cancelled") if self.job.cancelled else self.allowance.passed()
        return FailedError(self.job.path, why) if why is not None else None

    def why_not_keep(self) -> FailedError | None:
        """The same for work that comes after a failure, also after one for want of time."""
        return FailedError(self.job.path, reason("cancelled")) if self.job.cancelled else None

    def begin_round(self, number: int) -> None:
        """Another build of the same: what was counted belongs to the one before."""
        self.allowance.begin_round()
        self.round = number
        self.phases, self.tests, self.command = [], TestSummary(), ""

    def tell(self, why: Reason) -> None:
        """Something that people should know at once."""
        self.job.emit(Note(self.job.path, text_of(why, self.job.path), why))

    def note(self, why: Reason, *, late: bool = False) -> None:
        """Something that the clients are to be told when the build has ended."""
        note = Note(self.job.path, text_of(why, self.job.path), why)
        (self.late_notes if late else self.early_notes).append(note)

    @property
    def outputs(self) -> list[StorePath]:
        """The paths of all outputs."""
        return [output.path for output in self.job.derivation.outputs.values() if output.path is not None]

    @property
    def differences(self) -> list[Compared]:
        """Results that differ and should be equal."""
        return self.subject.differences if self.subject else []

    def difference_lines(self) -> list[str]:
        """Where, a line each."""
        named = len(self.differences) > 1
        return [
            f"{found.path.name}/{place}" if named else str(place)
            for found in self.differences
            for place in found.places
        ]

    def tell_differences(self, log: BuildLog) -> None:
        """Write them to the log."""
        for found in self.differences:
            log.append(f"first: {found.first or '(not kept)'}")
            log.append(f"second: {found.second or '(not kept)'}")
            for place in found.places:
                log.append(f"  {place}")

    def line(self, text: str) -> None:
        """A line of the log: counted and passed on."""
        self.tests.feed(text)
        if text.startswith("$") and (match := _COMMAND.fullmatch(text)):
            self.command = "" if match[1] == _NO_MORE else match[1]
        self.job.emit(LogLine(self.job.path, text))

    def phase(self, name: str) -> None:
        """The builder entered another phase. One that goes on announcing phases is no longer listened to."""
        if len(self.phases) >= MOST_PHASES:
            return
        now = time.time()
        self._end_phase(now)
        self.phases.append({"name": name, "start": now})
        self.command = ""
        self.tests.begin_phase()
        self.job.emit(PhaseStarted(self.job.path, name, now))

    def phase_name(self) -> str:
        """The phase that the builder is in, or was in at its end."""
        return str(self.phases[-1]["name"]) if self.phases else ""

    def progress(self, done: int, total: int, what: str) -> None:
        """A transfer went on."""
        self.job.emit(Progress(self.job.path, done, total, what))

    def _end_phase(self, now: float) -> None:
        if self.phases and "seconds" not in self.phases[-1]:
            self.phases[-1]["seconds"] = round(now - self.phases[-1]["start"], 3)

    def record(self, result: BuildResult) -> dict[str, Any]:
        """Everything, as plain data."""
        now = time.time()
        self._end_phase(now)
        derivation = self.job.derivation
        return {
            "derivation": str(self.job.path),
            "name": derivation.name,
            "system": derivation.system,
            "builder": derivation.builder,
            "contract": self.contract,
            "purpose": self.purpose,
            "rounds": self.rounds,
            "status": result.status.name,
            "message": result.message,
            "reason": dict(self.reason),
            "notes": [note.text for note in (*self.early_notes, *self.late_notes)],
            "differences": self._differences(),
            "kept": self.kept,
            "limits": {_camel(name): value for name, value in asdict(self.limits).items()},
            "outputs": {info_name: _output(info) for info_name, info in self._named_outputs().items()},
            "isolation": self._isolation(),
            "hostView": {"name": self.view.name, "fingerprint": self.view.fingerprint} if self.view else None,
            "declared": {
                "preferLocalBuild": self.attributes.prefer_local,
                "allowSubstitutes": self.attributes.allow_substitutes,
                "requiredSystemFeatures": list(self.attributes.required_features),
                "structured": self.attributes.structured is not None,
            },
            "inputs": {
                "sources": [str(path) for path in derivation.input_srcs],
                "derivations": {str(path): list(names) for path, names in derivation.input_drvs.items()},
                "closure": self.inputs,
            },
            "fetchedFrom": self.source,
            "phases": self.phases,
            "tests": str(self.tests),
            "failedTests": list(self.tests.failed),
            "command": "" if result.success else self.command,
            "started": self.started,
            "finished": now,
            "resources": self._resources(),
            "exit": {"code": self.exit.code, "signal": self.exit.signal} if self.exit else None,
            "log": self.log_file,
            "machine": {
                "kernel": platform.release(),
                "architecture": platform.machine(),
                "cpus": os.cpu_count(),
            },
        }

    def _differences(self) -> list[dict[str, Any]]:
        return [
            {
                "output": str(found.path),
                "first": found.first,
                "second": found.second,
                "places": [asdict(place) for place in found.places],
            }
            for found in self.differences
        ]

    def _named_outputs(self) -> dict[str, PathInfo]:
        by_path = {info.path: info for info in self.infos}
        outputs = self.job.derivation.outputs
        return {name: by_path[output.path] for name, output in outputs.items() if output.path in by_path}

    def _isolation(self) -> dict[str, Any] | None:
        spec = self.spec
        if spec is None:
            return None
        return {
            "kind": back_end().kind,
            "name": spec.id,
            "hostname": spec.hostname,
            "uid": spec.identity.uid,
            "gid": spec.identity.gid,
            "insideUid": spec.identity.inside_uid,
            "insideGid": spec.identity.inside_gid,
            "userNamespace": spec.identity.user_namespace,
            "network": spec.network,
            "mounts": [
                {"source": bind.source, "target": bind.target, "writable": bind.writable}
                for bind in spec.binds
            ],
            "tmpfs": [mount.path for mount in spec.tmpfs],
            **back_end().describe(spec),
        }

    def _resources(self) -> dict[str, int] | None:
        if self.exit is None:
            return None
        return {
            "cpuUserMicroseconds": self.exit.cpu_user_us,
            "cpuSystemMicroseconds": self.exit.cpu_system_us,
            "maxRssKiB": self.exit.max_rss_kib,
        }


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


def _output(info: PathInfo) -> dict[str, Any]:
    return {
        "path": str(info.path),
        "narHash": info.nar_hash.sri,
        "narSize": info.nar_size,
        "references": [str(path) for path in info.references],
    }
