"""What a package's own test suite said, read off the build log.

Understood: the Automake parallel harness (`# PASS:  5`, one block per Makefile, summed), its serial predecessor
(`All 5 tests passed`, `2 of 5 tests failed`), CTest (`100% tests passed, 0 tests failed out of 12`) and Meson (`Ok: 7`, `Fail: 0`).
A build without any of these has no summary: absence is reported as such, never as success.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

_AUTOMAKE = re.compile(r"^# (TOTAL|PASS|SKIP|XFAIL|FAIL|XPASS|ERROR): +(\d+)$")
_SERIAL_GOOD = re.compile(r"^All (\d+) tests passed")
_SERIAL_BAD = re.compile(r"^(\d+) of (\d+) tests failed")
_CTEST = re.compile(r"^\d+% tests passed, (\d+) tests? failed out of (\d+)")
_MESON = re.compile(r"^(Ok|Fail|Skipped|Expected Fail|Unexpected Pass|Timeout): +(\d+)\s*$")

_KEYS = {
    "PASS": "pass", "XFAIL": "pass", "SKIP": "skip", "FAIL": "fail", "XPASS": "fail", "ERROR": "fail",
    "Ok": "pass", "Expected Fail": "pass", "Skipped": "skip", "Fail": "fail", "Unexpected Pass": "fail", "Timeout": "fail",
}  # fmt: skip


@dataclass(slots=True)
class TestSummary:
    """Counts over everything that the log reported."""

    __test__ = False  # not a test of ours, whatever its name

    counts: dict[str, int] = field(default_factory=dict)

    def feed(self, line: str) -> None:
        """Look at one line of the log (a couple of regular expressions on lines that can match at all)."""
        line = _COLOUR.sub("", line) if "\x1b" in line else line
        for pattern, count in _RULES:
            if match := pattern.match(line):
                count(self.counts, match)
                return

    def __str__(self) -> str:
        """`pass=5 fail=0`, with `skip=N` if any was skipped; empty when the log had no summary."""
        if not self.counts:
            return ""
        text = f"pass={self.counts.get('pass', 0)} fail={self.counts.get('fail', 0)}"
        return f"{text} skip={self.counts['skip']}" if self.counts.get("skip") else text


_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


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
