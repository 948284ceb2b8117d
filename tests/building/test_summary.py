from __future__ import annotations

import pytest

from fruix.building.summary import TestSummary


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
