from __future__ import annotations

import pytest

from fruix.building.record.test_counts import TestSummary


@pytest.mark.parametrize(
    ("log", "summary"),
    [
        (
            "# TOTAL: 5\n# PASS:  5\n# SKIP:  0\n# XFAIL: 0\n# FAIL:  0\n# XPASS: 0\n# ERROR: 0",
            "pass=5 fail=0",
        ),
        ("# PASS:  3\n# SKIP:  2\n# FAIL:  1\n# PASS:  4\n# ERROR: 1", "pass=7 fail=2 skip=2"),
        ("\x1b[0;32m# PASS:  3\x1b[m", "pass=3 fail=0"),
        ("All 7 tests passed", "pass=7 fail=0"),
        ("2 of 9 tests failed", "pass=7 fail=2"),
        ("100% tests passed, 0 tests failed out of 12", "pass=12 fail=0"),
        ("Ok:                 7   \nFail:               1   ", "pass=7 fail=1"),
        ("checking for gcc... gcc\nPASS: a\n", ""),
        ("", ""),
    ],
)
def test_known_forms(log: str, summary: str) -> None:
    counted = TestSummary()
    for line in log.splitlines():
        counted.feed(line)
    assert str(counted) == summary


@pytest.mark.parametrize(
    ("log", "failed", "counts"),
    [
        (
            "FAIL: a.sh\nPASS: b\nERROR: c - broken\nXPASS: d\n# FAIL: 1\n# ERROR: 2",
            ("a.sh", "c", "d"),
            {"fail": 3},
        ),
        ("FAIL: gdb.base/x.exp: prints it\nFAIL: gdb.base/x.exp: again", ("gdb.base/x.exp",), {}),
        ("FAIL: tests/a\nfailed tests: a, b\nFAIL: z", ("a", "b"), {}),
        ("# FAIL: 1\nFAIL: a\n@phase\n# FAIL: 2\n# PASS: 3", (), {"fail": 2, "pass": 3}),
        ("# PASS: 1\n@phase\nnothing", (), {}),
        ("# FAIL: 0\n@phase\n# FAIL: 0\n# PASS: 1", (), {"pass": 1}),
    ],
)
def test_failed_tests_of_the_last_phase(log: str, failed: tuple[str, ...], counts: dict[str, int]) -> None:
    counted = TestSummary()
    for line in log.splitlines():
        if line == "@phase":
            counted.begin_phase()
        else:
            counted.feed(line)
    assert (counted.failed, counted.of_phase) == (failed, counts)


def test_a_builder_that_names_no_end_of_tests() -> None:
    counted = TestSummary()
    for number in range(1000):
        counted.feed(f"FAIL: {number}{'x' * 10_000}")
    assert len(counted.failed) == 50
    assert max(map(len, counted.failed)) == 200
