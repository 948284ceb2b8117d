"""Checking and repairing the whole store, and remembered failures, over the wire.

A real daemon on a private /frx.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.test_end_to_end import ENVIRONMENT, daemon, fruix
from machine import OTHER_USERS

__all__ = ["daemon"]


@pytest.fixture
def package(tmp_path: Path) -> str:
    file = tmp_path / "thing.py"
    file.write_text(
        'package = Package(name="thing", version="1", source=None, build_system="trivial",'
        ' arguments={"script": "mkdir $out; echo x > $out/f; cat /proc/sys/kernel/random/uuid > $out/id"},'
        ' synopsis="x", license="MIT", home_page="https://example.org")\n'
    )
    return str(file)


def test_verify_and_repair(daemon: None, package: str) -> None:
    out = Path(fruix("build", "-f", package).stdout.strip())
    assert "everything is as it should be" in fruix("store", "verify", "--contents").stderr
    (out / "f").chmod(0o644)
    (out / "f").write_text("spoilt")
    (out / "f").chmod(0o444)
    assert "everything is" in fruix("store", "verify").stderr, "only the contents tell"
    found = fruix("store", "verify", "--contents", code=1).stderr
    assert f"path '{out}' was modified!" in found
    assert found.endswith("hint: build again what is damaged: fruix store verify --contents --repair\n")
    repaired = fruix("store", "verify", "--contents", "--repair").stderr
    assert f"path '{out}' is corrupted or missing!" in repaired
    assert "repairing thing-1" in repaired
    assert (out / "f").read_text() == "x\n"
    assert "everything is" in fruix("store", "verify", "--contents").stderr


def test_what_nobody_can_make_again(daemon: None, tmp_path: Path) -> None:
    (tmp_path / "source").write_text("x")
    path = Path(fruix("store", "add", str(tmp_path / "source")).stdout.strip())
    path.unlink()
    found = fruix("store", "verify", code=1).stderr
    assert f"path '{path}' disappeared" in found
    assert found.endswith("hint: build again what is damaged: fruix store verify --repair\n")
    failed = fruix("store", "verify", "--repair", code=1).stderr
    assert "nothing on this machine can make it again" in failed
    assert "hint: what nothing here can make is repaired by adding it again" in failed
    assert fruix("store", "add", str(tmp_path / "source")).stdout.strip() == str(path)
    assert "everything is" in fruix("store", "verify").stderr


def test_what_was_deleted_by_hand_is_built_again(daemon: None, package: str) -> None:
    """The output, its derivation and its builder's script: all that `fruix build` asks for or adds."""
    out = Path(fruix("build", "-f", package).stdout.strip())
    drv = Path(fruix("store", "derivers", str(out)).stdout.strip())
    sources = [Path(line) for line in fruix("store", "references", str(drv)).stdout.split()]
    assert sources
    assert "nothing to be done" in fruix("build", "-f", package).stderr
    shutil.rmtree(out)
    for file in (drv, *sources):
        file.unlink()
    assert "1 to build" in fruix("build", "-n", "-f", package).stderr
    again = fruix("build", "-f", package)
    assert "repairing thing-1" in again.stderr
    assert again.stdout == f"{out}\n"
    assert (out / "f").read_text() == "x\n"
    assert "everything is" in fruix("store", "verify", "--contents").stderr
    shutil.rmtree(out)
    assert fruix("build", str(out)).stdout == f"{out}\n", "also by its path"
    assert (out / "f").read_text() == "x\n"


@pytest.fixture
def diffoscope() -> Iterator[Path]:
    """One that says what it was asked, and much more; where everybody may run it."""
    with tempfile.TemporaryDirectory() as directory:
        tools = Path(directory)
        tools.chmod(0o755)
        (tools / "diffoscope").write_text('#!/bin/sh\necho "user $(id -u) compares $*"\nseq 1000\n')
        (tools / "diffoscope").chmod(0o755)
        yield tools


@OTHER_USERS
def test_check_and_rounds(daemon: None, package: str, diffoscope: Path) -> None:
    out = fruix("build", "-f", package).stdout.strip()
    checked = fruix(
        "build", "--check", "-f", package, code=104, PATH=f"{diffoscope}:{ENVIRONMENT['PATH']}"
    ).stderr
    assert f"output '{out}' differs from '{out}.check'" in checked
    drv = fruix("store", "derivers", out).stdout.strip()
    assert "fruix: error: thing-1 is not reproducible: " in checked
    assert "\nnot reproducible: thing-1 after " in checked
    assert f"\n{drv}:\n" in checked
    for word in ("could not be built", "cannot build", "failed"):
        assert word not in checked.lower(), "it was built, twice"
    assert "id: " in checked
    assert "bytes differ, first at offset" in checked
    assert f"user 65534 compares --exclude-directory-metadata=yes {out} {out}.check" in checked
    assert "only the first 200 lines are shown" in checked
    again = fruix("build", "--check", out, code=104).stderr
    assert f"output '{out}' differs" in again, "an output is checked by its derivation"
    log = fruix("log", "--check", out).stdout
    assert f"second: {out}.check" in log
    other = fruix("build", "--rounds", "2", "-e", _other(package), code=104).stderr
    assert "(round 2 of 2)" in other
    assert "from previous round" in other
    assert re.search(r"^fruix: error: other-1 is not reproducible: ", other, re.MULTILINE)


def _other(package: str) -> str:
    text = Path(package).read_text().removeprefix("package = ").strip()
    return text.replace('"thing"', '"other"')


def test_wrong_numbers(daemon: None) -> None:
    for words in (["-j", "-1"], ["--rounds", "0"], ["--timeout", "x"], ["--check", "--repair"]):
        assert "\nfruix: error: " in fruix("build", "hello", *words, code=2).stderr


def test_nothing_is_built_without_jobs(daemon: None, package: str) -> None:
    text = fruix("build", "-j", "0", "-e", _other(package).replace("other", "third"), code=100).stderr
    assert "local builds are disabled (max-jobs = 0)" in text


def test_remembered_failures(daemon: None) -> None:
    assert fruix("store", "failures").stdout == ""
    fruix("store", "failures", "--clear")
    done = subprocess.run(
        [sys.executable, "-m", "fruix", "store", "failures", "--clear", "nonsense"],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0


def test_findings_for_programs_and_repair_of_single_paths(daemon: None, package: str) -> None:
    out = Path(fruix("build", "-f", package).stdout.strip())
    assert fruix("store", "verify", "--contents", "--json").stdout == ""
    (out / "f").chmod(0o644)
    (out / "id").chmod(0o755)
    (line,) = fruix("store", "verify", "--contents", "--json", code=1).stdout.splitlines()
    found = json.loads(line)
    assert (found["kind"], found["damage"], found["subject"]) == ("modified", True, str(out))
    assert found["text"].startswith(f"path '{out}' was modified!")
    repaired = fruix("store", "repair", str(out)).stderr
    assert "repairing thing-1" in repaired
    assert repaired.endswith("everything is as it should be\n")
    (out / "f").chmod(0o644)
    assert (
        f"mode 0644 of '{out.name}/f' instead of 0444"
        in fruix("store", "verify", "--contents", code=1).stderr
    )
    mended = fruix("store", "verify", "--contents", "--repair").stderr
    assert "repairing" not in mended
    assert (out / "f").stat().st_mode & 0o777 == 0o444
    assert "is not in the store" in fruix("store", "repair", "/etc", code=2).stderr


def test_the_database_is_not_made_anew_below_a_daemon(daemon: None) -> None:
    refused = fruix("store", "rebuild-database", code=1).stderr
    assert "somebody works on the store (process " in refused
    assert refused.endswith("hint: stop the daemon first\n")
