"""Nothing outside of `sandbox/linux` needs what only Linux has.

By name, with Python as it is on FreeBSD 13 (see `freebsd_names`).
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parent
# Run again under another name; the builds that they do for real are the platform's own affair.
AGAIN = (
    "store/test_tree.py",
    "store/objects/test_add.py",
    "daemon/test_peers.py",
    "daemon/test_session.py",
    "daemon/test_build_requests.py",
    "client",
)
IMPORT_ALL = """
import freebsd_names, fruix, importlib, pkgutil
LEFT_OUT = {"fruix.sandbox.linux"}
def load(package):
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        if module.name not in LEFT_OUT and not module.name.endswith("__main__"):
            loaded = importlib.import_module(module.name)
            if module.ispkg:
                load(loaded)
load(fruix)
from fruix.this_machine import local_system
print(local_system())
"""


def run(*words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": f"{TESTS.parent}/src:{TESTS}", "CI": ""}
    return subprocess.run(
        [sys.executable, *words],
        env=environment,
        cwd=TESTS.parent,
        capture_output=True,
        text=True,
        check=False,
    )


def test_everything_can_be_imported() -> None:
    done = run("-c", IMPORT_ALL)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "x86_64-freebsd\n"


def test_only_the_standard_library_is_imported() -> None:
    done = run("-S", "-c", IMPORT_ALL)
    assert done.returncode == 0, done.stderr


def test_store_daemon_and_client_work() -> None:
    """Whole builds: tests/testing/test_as_freebsd.py."""
    plugin = ("-p", "freebsd_names", "-p", "no:cacheprovider")
    done = run("-m", "pytest", "-q", "-x", *plugin, *(f"tests/{place}" for place in AGAIN))
    assert "passed" in done.stdout
    assert done.returncode == 0, done.stdout + done.stderr
