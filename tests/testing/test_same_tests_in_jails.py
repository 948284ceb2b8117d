"""The FreeBSD back end, on the double of its system calls, passes the tests that Linux's passes: the same ones, run again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parent.parent
FILES = (
    "tests/build/test_life.py",
    "tests/build/test_declared.py",
    "tests/build/test_host_views.py",
    "tests/build/test_modes.py",
    "tests/build/test_put_files.py",
    "tests/build/test_unfit_outputs.py",
    "tests/sandbox/test_escapes.py",
)
# What asks Linux itself; the self-test asks the same of jails (`fruix.testing.expected`).
LINUX_ONLY = (
    "tests/sandbox/test_escapes.py::test_doors",  # Linux's own system calls
    "tests/sandbox/test_escapes.py::test_the_host_is_out_of_reach",  # looks through /proc
    "tests/sandbox/test_escapes.py::test_descriptors",  # likewise
)


def test_the_same_tests_pass_in_jails() -> None:
    left_out = [f"--deselect={name}" for name in LINUX_ONLY]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "in_jails", "-p", "no:cacheprovider", *FILES, *left_out],
        env={**os.environ, "PYTHONPATH": f"{TESTS.parent}/src:{TESTS}"},
        cwd=TESTS.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
