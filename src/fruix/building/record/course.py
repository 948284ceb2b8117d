"""What a builder's output has told so far in one round.

Its phases, the tests it ran, and the command that it showed last.
"""

from __future__ import annotations

import time
from typing import Any

from fruix.building.record.test_counts import TestSummary
from fruix.dataclass import dataclass, field
from fruix.late import late_pattern

MOST_PHASES = 1000
# As the shell shows a command before it runs it, where PS4 is `$ `; in a subshell the first
# character is doubled.
_COMMAND = late_pattern(r"\$+ (.*)")
_NO_MORE = "set +x"


@dataclass(slots=True)
class Course:
    """Fed with lines and phases as they come.

    Attributes:
        phases: name, `start` (seconds since the epoch) and, of phases that have ended, `seconds`.
        command: the last one that the phase showed.
        tests: what test runners said.
    """

    phases: list[dict[str, Any]] = field(default_factory=list)
    command: str = ""
    tests: TestSummary = field(default_factory=TestSummary)

    def feed(self, text: str) -> None:
        """Take one line of the log."""
        self.tests.feed(text)
        if text.startswith("$") and (match := _COMMAND.fullmatch(text)):
            self.command = "" if match[1] == _NO_MORE else match[1]

    def begin_phase(self, name: str) -> float | None:
        """The builder entered another phase: when.

        None: it has announced too many, and this one doesn't count.
        """
        if len(self.phases) >= MOST_PHASES:
            return None
        now = time.time()
        self.end_phase(now)
        self.phases.append({"name": name, "start": now})
        self.command = ""
        self.tests.begin_phase()
        return now

    def end_phase(self, now: float) -> None:
        """The latest phase ended at `now`, unless it has ended already."""
        if self.phases and "seconds" not in self.phases[-1]:
            self.phases[-1]["seconds"] = round(now - self.phases[-1]["start"], 3)

    def phase_name(self) -> str:
        """The phase that the builder is in, or was in at its end; empty before the first."""
        return str(self.phases[-1]["name"]) if self.phases else ""
