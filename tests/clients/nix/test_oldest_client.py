"""Nix 2.3, whose client speaks protocol 1.21: its commands against Fruix, and how they end.

Its own daemon can't be compared with: here its build hook waits for ever.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from clients.nix.peers import ENVIRONMENT, programs, variables
from clients.nix.test_same import HERE, daemon, place

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="machine: the system's daemon is root's")
SAME = "same.nix --arg tools ./tools"
BUILD = f"nix-build --no-out-link {SAME} -A"
# Commands in their order, how each ends and what it says. Failed builds end as their daemon's status says.
COMMANDS = (
    ("nix-store --add hello.txt", 0, r"^/frx/store/\w{32}-hello\.txt$"),
    ("nix-store --add-fixed sha256 hello.txt", 0, r"^/frx/store/\w{32}-hello\.txt$"),
    ("nix-store --add-fixed --recursive sha1 tree", 0, r"^/frx/store/\w{32}-tree$"),
    (f"{BUILD} top", 0, r"building '.*-low\.drv'(?s:.*)^line 2\n(?s:.*)^/frx/store/\w{32}-top-1\.0$"),
    (f"{BUILD} top", 0, r"^/frx/store/\w{32}-top-1\.0$"),
    (f"{BUILD} bad", 100, r"failed with exit code 3(?s:.*)^error: build of '.*-bad\.drv' failed$"),
    (f"{BUILD} above", 100, r"^error: build of '.*-above\.drv' failed$"),
    (f"{BUILD} slow --timeout 1", 101, r"timed out after 1 seconds"),
    (f"{BUILD} hashed", 102, r"hash mismatch"),
    (f"{BUILD} unsteady", 0, r"-unsteady$"),
    (f"{BUILD} unsteady --check", 104, r"may not be deterministic"),
    (f"{BUILD} needs", 1, r"no-such-feature"),
    ("nix-store --query --references @top", 0, r"-low$"),
    ("nix-store --query --referrers @low", 0, r"-top-1\.0$"),
    ("nix-store --query --outputs @drv", 0, r"-top-1\.0$"),
    ("nix-store --query --roots @low", 0, r"^$"),
    ("nix-store --read-log @drv", 0, r"^line 1\nline 2\n"),
    ("nix path-info --closure-size @top", 0, r"-top-1\.0\s+\d+$"),
    ("nix-store --verify-path @top", 0, r"^$"),
    ("nix-store --verify --check-contents", 0, r"checking hashes|checking store hashes"),
    ("nix sign-paths --key-file nix-test-1.secret @top", 0, ""),
    ("nix path-info --sigs @top", 0, r"test-1:"),
    ("nix copy --to file:///frx/home/cache @top", 0, ""),
    ("sh -c 'nix-store --export $(nix-store -qR @top) > exported'", 0, ""),
    ("nix-store --delete @top", 0, r"1 store paths deleted"),
    ("sh -c 'nix-store --import < exported'", 0, r"-top-1\.0$"),
    ("nix-store --delete @top", 0, r"1 store paths deleted"),
    ("nix copy --no-check-sigs --from file:///frx/home/cache @top", 0, ""),
    ("nix-env -p /frx/var/fruix/profiles/mine -i @low", 0, r"installing 'low'"),
    ("nix-env -p /frx/var/fruix/profiles/mine -q", 0, r"^low$"),
    ("nix-store --delete @low", 1, r"still alive"),
    ("nix-store --gc --print-roots", 0, r"/frx/var/fruix/profiles/mine-1-link"),
    ("nix-store --optimise", 0, r"freed by hard-linking"),
    ("nix-env -p /frx/var/fruix/profiles/mine -e low", 0, r"uninstalling 'low'"),
    ("nix-collect-garbage -d", 0, r"deleting '/frx/store/\w{32}-low'"),
)


def test_commands() -> None:
    """In one go: each rests on those before."""
    with place() as work, daemon("fruix"):
        shutil.copy(HERE / "same.nix", work)
        (work / "hello.txt").write_text("hello\n")
        (work / "tree").mkdir()
        shutil.copy(HERE.parents[1] / "golden/keys/nix-test-1.secret", work)
        known: dict[str, str] = {}
        for command, status, expected in COMMANDS:
            words = re.sub(r"@(\w+)", lambda found: known[found[1]], command)
            ended, said = _run(work, words)
            assert (command, ended) == (command, status), said
            assert re.search(expected, said, re.MULTILINE), (command, said)
            if command.endswith("top") and not known:
                known["top"] = said.splitlines()[-1]
                known["low"] = _run(work, f"nix-store -q --references {known['top']}")[1].split()[-1]
                known["drv"] = _run(work, f"nix-store -q --deriver {known['top']}")[1].split()[-1]


def _run(work: Path, words: str) -> tuple[int, str]:
    path = f"{programs('2.3')}:{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-c", words],
        env={
            **ENVIRONMENT,
            **variables("2.3"),
            "PATH": path,
            "NIX_CONF_DIR": "/frx/home",
            "NIX_CONFIG": "substituters =",
        },
        cwd=work,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    return done.returncode, done.stdout
