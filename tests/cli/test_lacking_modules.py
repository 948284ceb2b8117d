"""Every command in a Python that lacks a module of the standard library.

The doctor names it, and nothing ends in a traceback.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fruix.sandbox.capabilities import EXTRAS, NEEDED

# What is built against a library that may be missing → the module of ours that stands for it.
OPTIONAL = {
    "_sqlite3": "sqlite3",
    "_ctypes": "ctypes",
    "zlib": "zlib",
    "termios": "termios",
    "_ssl": "ssl",
    "_lzma": "lzma",
    "_bz2": "bz2",
    "_hashlib": "",
    "_curses": "",
    "readline": "",
    "_uuid": "",
    "pyexpat": "",
    "_dbm": "",
    "_tkinter": "",
}
COMMANDS = (
    "packages",
    "show hello",
    "graph hello",
    "lint",
    "ps",
    "daemon --ping",
    "log hello",
    "store info hello",
    "size hello",
    "build -n hello",
    "daemon",
)
BLOCKED = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)

sys.modules.pop(sys.argv[1], None)
sys.meta_path.insert(0, Blocker())
from fruix.cli.command_line import main
sys.exit(main(sys.argv[2:]))
"""


def run(module: str, words: str, scratch: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(__file__).parents[2] / "src"),
        "FRUIX_STORE_DIR": f"{scratch}/store",
        "FRUIX_STATE_DIR": f"{scratch}/state",
        "FRUIX_LOG_DIR": f"{scratch}/log",
    }
    return subprocess.run(
        [sys.executable, "-c", BLOCKED, module, *words.split()],
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def test_the_tables_are_what_is_tried() -> None:
    assert {name for name in OPTIONAL.values() if name} == {*NEEDED, *EXTRAS}


@pytest.mark.parametrize("module", OPTIONAL)
def test_the_doctor_names_it(module: str, tmp_path: Path) -> None:
    done = run(module, "doctor", tmp_path)
    assert "Traceback" not in done.stdout + done.stderr, done.stderr
    lines = done.stdout.splitlines()
    needed = next(line for line in lines if line[8:].startswith("python  "))
    extras = next(line for line in lines if line[8:].startswith("python extras"))
    name = OPTIONAL[module]
    assert (f"lacks {name} (" in needed) == (name in NEEDED)
    assert (f"lacks {name} (" in extras) == (name in EXTRAS)
    if name in NEEDED:
        assert (done.returncode, needed[:7], len(lines)) == (1, "missing", 3)  # nothing else could be tried
    else:
        assert any(line.startswith("ok") and "systems" in line for line in lines)


@pytest.mark.parametrize("module", OPTIONAL)
def test_no_command_ends_in_a_traceback(module: str, tmp_path: Path) -> None:
    for words in COMMANDS:
        done = run(module, words, tmp_path)
        said = done.stdout + done.stderr
        assert "Traceback" not in said, (words, said)
        if done.returncode:
            assert "fruix: error: " in said, (words, said)
        if OPTIONAL[module] not in NEEDED:
            assert "lacks the module" not in said, (words, said)


@pytest.mark.parametrize("module", ["_sqlite3", "_ctypes", "zlib"])
def test_a_build_says_what_lacks(module: str, tmp_path: Path) -> None:
    done = run(module, "build hello", tmp_path)
    assert done.returncode == 1
    assert f"this Python lacks the module '{module}' of the standard library" in done.stderr
    assert "hint: 'fruix doctor' says what needs it" in done.stderr
