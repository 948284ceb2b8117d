"""What terminals and nix-output-monitor are shown: `--log-format internal-json`, against nix-daemon's.

Activities are compared by what they are: kind, level, text, fields and parent. Ids differ from run to
run, and how often progress is told, so that of each activity's progress the last counts.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from clients.nix.peers import ENVIRONMENT, programs, run
from clients.nix.test_same import CONFIG, HERE, daemon, place

# Activities of the clients themselves, such as evaluation; and questions to a cache, of which Fruix asks
# many at once.
OTHER = (0, 109)
SUBSTITUTE = 108
COUNTS = (105, 106)  # progress, and what is expected
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="machine: the system's daemon is root's")


def told(work: Path, *words: str) -> list[dict[str, Any]]:
    """What a command tells, in its order."""
    done = subprocess.run(
        [f"{programs('newest')}/nix-build", "--log-format", "internal-json", "-v", "--no-out-link", *words],
        env={**ENVIRONMENT, "NIX_CONFIG": CONFIG, "LC_ALL": "C.UTF-8"},
        cwd=work,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    lines = done.stderr.decode().splitlines()
    return [json.loads(line.removeprefix("@nix ")) for line in lines if line.startswith("@nix ")]


def _offered(work: Path) -> str:
    """A cache that has what was built, which is deleted; `trusted` is for nix-daemon alone."""
    cache = f"file://{work}/cache?trusted=1"
    ends = ("-top", "-dep")
    built = sorted(f"/frx/store/{name}" for name in os.listdir("/frx/store") if name.endswith(ends))
    run("newest", "nix", "copy", "--to", cache, *built)
    run("newest", "nix-store", "--delete", *built)
    return cache


def _shape(told: list[dict[str, Any]]) -> tuple[list[tuple[Any, ...]], dict[str, Any]]:
    """What is told, in its order, without ids; and the last counts of each kind of activity."""
    kinds: dict[int, str] = {}
    shape: list[tuple[Any, ...]] = []
    counts: dict[str, Any] = {}
    for line in told:
        action = line["action"]
        if action == "start" and line["type"] not in OTHER:
            name = kinds[line["id"]] = f"{line['type']} {line['text']}"
            parent = kinds.get(line["parent"], "")
            shape.append((action, name, line["level"], line.get("fields"), parent))
        elif action == "stop" and line["id"] in kinds:
            shape.append((action, kinds[line["id"]]))
        elif action == "result" and line["type"] in COUNTS:
            done, _expected, running, failed = [*line["fields"], 0, 0][:4]
            counts[f"{kinds[line['id']]} {line['type']}"] = (done, running, failed)
        elif action == "result":
            shape.append((action, kinds[line["id"]], line["type"], line["fields"]))
        elif action == "msg" and line["level"] > 0:
            shape.append((action, line["level"], line["msg"]))
    return shape, counts


def _all(kind: str) -> dict[str, Any]:
    definition = ["remote.nix", "--arg", "tools", "./tools", "--argstr", "system", "x86_64-linux"]
    with place() as work, daemon(kind):
        shutil.copy(HERE / "remote.nix", work)
        built = told(work, *definition)
        failed = told(work, *definition, "--argstr", "script", "echo x; exit 3")
        cache = ["--option", "substituters", _offered(work), "--option", "require-sigs", "false"]
        fetched = told(work, *definition, *cache)
        if kind == "fruix":
            expected = [line["fields"][1] for line in built if line.get("type") == 105 and "fields" in line]
            assert 2 in expected, "as many as the client was told"
            assert {line["parent"] for line in built if line["action"] == "start"} == {0}
            assert [line["type"] for line in fetched if line["action"] == "start"].count(SUBSTITUTE) == 2
        return {"built": _shape(built), "failed": _shape(failed), "fetched": _shape(fetched)}


def test_builds_are_shown_as_by_nix_daemon() -> None:
    nix, fruix = _all("nix"), _all("fruix")
    for step, (shape, counts) in nix.items():
        assert fruix[step][0] == shape
        assert fruix[step][1].items() <= counts.items()
        assert [name for name in counts if name not in fruix[step][1]] == []
