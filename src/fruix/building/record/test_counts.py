"""What a package's own test suite said, read off the build log.

Understood: the Automake parallel harness (`# PASS:  5`, one block per
Makefile, summed), its serial predecessor (`All 5 tests passed`, `2 of 5 tests failed`), CTest
(`100% tests passed, 0 tests failed out of 12`) and Meson (`Ok: 7`, `Fail: 0`).
A build without any of these has no summary: absence is reported as such, never as success.

Names of tests that failed are those that our builders say (`failed tests: a, b`), else those of
Automake's lines (`FAIL: name`).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from fruix.dataclass import dataclass, field
from fruix.late import late_pattern

_AUTOMAKE = late_pattern(r"^# (TOTAL|PASS|SKIP|XFAIL|FAIL|XPASS|ERROR): +(\d+)$")
_SERIAL_GOOD = late_pattern(r"^All (\d+) tests passed")
_SERIAL_BAD = late_pattern(r"^(\d+) of (\d+) tests failed")
_CTEST = late_pattern(r"^\d+% tests passed, (\d+) tests? failed out of (\d+)")
_NAMES = late_pattern(r"^failed tests: (.+)$")
_NAME = late_pattern(r"^(?:FAIL|ERROR|XPASS): (\S+?):?(?: .*)?$")
_MESON = late_pattern(r"^(Ok|Fail|Skipped|Expected Fail|Unexpected Pass|Timeout): +(\d+)\s*$")

# A builder may say anything, and say it for ever.
_MOST_NAMES, _LONGEST_NAME = 50, 200

_KEYS = {
    "PASS": "pass", "XFAIL": "pass", "SKIP": "skip", "FAIL": "fail", "XPASS": "fail", "ERROR": "fail",
    "Ok": "pass", "Expected Fail": "pass", "Skipped": "skip", "Fail": "fail", "Unexpected Pass": "fail",
    "Timeout": "fail",
}  # fmt: skip


@dataclass(slots=True)
class TestSummary:
    """Counts over everything that the log reported."""

    __test__ = False  # not a test of ours, whatever its name

    counts: dict[str, int] = field(default_factory=dict)
    failed: tuple[str, ...] = ()  # names of the tests of this phase that failed
    _before: dict[str, int] = field(default_factory=dict)
    _named: bool = False  # a list of all of them was there

    def begin_phase(self) -> None:
        """What comes from here on is another phase's."""
        self._before, self.failed, self._named = dict(self.counts), (), False

    @property
    def of_phase(self) -> dict[str, int]:
        """The counts of this phase alone."""
        return {
            key: number - self._before.get(key, 0)
            for key, number in self.counts.items()
            if key not in self._before or number != self._before[key]
        }

    def feed(self, line: str) -> None:
        """Look at one line of the log (a couple of regular expressions on lines that can match at all)."""
        line = _COLOUR.sub("", line) if "\x1b" in line else line
        for pattern, count in _RULES:
            if match := pattern.match(line):
                count(self.counts, match)
                return
        if match := _NAMES.match(line):
            self.failed, self._named = _cut(match[1].split(", ")), True
        elif not self._named and (match := _NAME.match(line)) and match[1] not in self.failed:
            self.failed = _cut([*self.failed, match[1]])

    def __str__(self) -> str:
        """`pass=5 fail=0`, with `skip=N` if any was skipped; empty when the log had no summary."""
        if not self.counts:
            return ""
        text = f"pass={self.counts.get('pass', 0)} fail={self.counts.get('fail', 0)}"
        return f"{text} skip={self.counts['skip']}" if self.counts.get("skip") else text


def _cut(names: list[str]) -> tuple[str, ...]:
    return tuple(name[:_LONGEST_NAME] for name in names[:_MOST_NAMES])


_COLOUR = late_pattern(r"\x1b\[[0-9;]*m")


def _add(counts: dict[str, int], key: str, number: int) -> None:
    counts[key] = counts.get(key, 0) + number


def _keyed(counts: dict[str, int], match: re.Match[str]) -> None:
    if key := _KEYS.get(match[1]):
        _add(counts, key, int(match[2]))


def _all_good(counts: dict[str, int], match: re.Match[str]) -> None:
    _add(counts, "pass", int(match[1]))
    _add(counts, "fail", 0)


def _some_bad(counts: dict[str, int], match: re.Match[str]) -> None:
    _add(counts, "fail", int(match[1]))
    _add(counts, "pass", int(match[2]) - int(match[1]))


_RULES: tuple[tuple[re.Pattern[str], Callable[[dict[str, int], re.Match[str]], None]], ...] = (
    (_AUTOMAKE, _keyed),
    (_SERIAL_GOOD, _all_good),
    (_SERIAL_BAD, _some_bad),
    (_CTEST, _some_bad),
    (_MESON, _keyed),
)
