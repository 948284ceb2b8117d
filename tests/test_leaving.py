"""How the program leaves: without taking apart what is loaded, and nothing that was asked for is left out."""

from __future__ import annotations

import subprocess
import sys

import pytest

import fruix

PROGRAM = """
import atexit, sys, threading

class Loaded:
    def __del__(self):
        print("taken apart")

def wait():
    threading.main_thread().join()
    print("waited for")

loaded = Loaded()
atexit.register(print, "asked for")
threading.Thread(target=threading.Event().wait, daemon=True).start()
{}
sys.argv[1:] = {!r}
from fruix.__main__ import run

run()
"""


def said(words: list[str], before: str = "") -> tuple[list[str], int]:
    program = PROGRAM.format(before, words)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    return done.stdout.splitlines(), done.returncode


def test_what_is_loaded_is_left_as_it_is() -> None:
    assert said(["--version"]) == ([f"fruix {fruix.__version__}", "asked for"], 0)


@pytest.mark.parametrize(("words", "status"), [(["help", "nothing-like-it"], 2), (["log", "/frx/none"], 1)])
def test_the_status_is_the_commands(words: list[str], status: int) -> None:
    assert said(words) == (["asked for"], status)


def test_threads_are_waited_for() -> None:
    shown, status = said(["--version"], "threading.Thread(target=wait).start()")
    assert shown[:3] == [f"fruix {fruix.__version__}", "waited for", "asked for"]
    assert status == 0
