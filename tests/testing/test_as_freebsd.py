"""The daemon, its builds and recoveries in a Python that lacks what only Linux has.

No name of those is needed anywhere on the way.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
RUN = """
import sys, as_freebsd
sys.argv = ["fruix", "doctor", "--selftest"]
as_freebsd.main("journal", "jail", "watch", "register")
"""


def test_self_test() -> None:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{TESTS.parent}/src:{TESTS}"}
    done = subprocess.run(
        [sys.executable, "-S", "-c", RUN], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "first build            freebsd-jail frx-" in done.stdout
    assert [line.split()[2] for line in done.stdout.splitlines() if " crash: " in line] == [
        "journal",
        "jail",
        "watch",
        "register",
    ]
