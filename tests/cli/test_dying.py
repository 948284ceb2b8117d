"""A daemon that is killed while somebody is in a sandbox."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from machine import private_frx

ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("FRUIX_", "NIX_"))}
COMMAND = [sys.executable, "-m", "fruix"]
FILE = 'package = Package(name="bad", version="1", build_system="trivial", arguments={"script": "exit 3"})'


def fruix(*words: str) -> str:
    return subprocess.check_output([*COMMAND, *words], env=ENVIRONMENT, text=True)


def events_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_daemon_that_dies_leaves_nothing_of_a_shell(tmp_path: Path) -> None:
    file = tmp_path / "packages.py"
    file.write_text(FILE)
    with private_frx():
        process = subprocess.Popen([*COMMAND, "daemon"], env=ENVIRONMENT)
        fruix("daemon", "--ping", "--wait", "60")
        (plan,) = events_of(fruix("build", "-n", "--json", "-f", str(file)))
        entered = subprocess.Popen(
            [*COMMAND, "enter", plan["builds"][0]["drv"], "--", "sh", "-c", "echo in; read -r line"],
            env=ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert entered.stdout is not None
        assert entered.stdout.readline() == "in\n"
        (row,) = events_of(fruix("ps", "--json"))
        assert (row["kind"], row["phase"]) == ("shell", "shell")
        process.kill()
        process.wait()
        _, shown = entered.communicate()
        assert entered.returncode != 0
        assert "the daemon may have been stopped" in shown
        process = subprocess.Popen([*COMMAND, "daemon"], env=ENVIRONMENT)
        try:
            fruix("daemon", "--ping", "--wait", "60")
            assert [name for name in os.listdir("/frx/var/fruix/builds") if name.startswith("frx-")] == []
            assert os.listdir("/frx/var/fruix/builds/journal") == []
            assert not os.path.exists(f"/proc/{row['pid']}/root/build")
        finally:
            process.terminate()
            process.wait()
