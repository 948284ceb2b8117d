"""`fruix run` and `fruix shell` where the store is at its place anyway; without root see tests/test_without_root.py."""

from __future__ import annotations

import os
import subprocess
import sys


def fruix(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fruix", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **more})


def test_the_program_takes_over() -> None:
    done = fruix("run", "sh", "-c", "echo $0 $1; exit 7", "name", "--help")
    assert (done.returncode, done.stdout) == (7, "name --help\n")


def test_a_program_that_is_not_there() -> None:
    done = fruix("run", "no-such-program")
    assert done.returncode == 2
    assert "there is no program 'no-such-program'" in done.stderr


def test_the_shell_is_the_users() -> None:
    assert fruix("shell", SHELL="/bin/pwd").stdout.strip() == os.getcwd()
    assert fruix("shell", "extra").returncode == 2
