"""Every test file is collected, and always the same tests.

A folder that pytest leaves out by its name would never be missed otherwise, and parallel workers
refuse to run where they find different tests.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent


def collected(seed: str) -> list[str]:
    """The names of all tests, as a process with this seed of hashes finds them."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "-n", "0"],
        cwd=TESTS.parent,
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    return [line for line in done.stdout.splitlines() if "::" in line]


def test_every_test_file_is_collected_and_always_the_same_tests() -> None:
    names = collected("1")
    files = {name.partition("::")[0] for name in names}
    assert files == {str(path.relative_to(TESTS.parent)) for path in TESTS.rglob("test_*.py")}
    # The second run is seconds later: a time in a name, as in the header of compressed bytes, shows too.
    assert names == collected("2")
