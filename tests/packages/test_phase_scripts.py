"""Pieces of builder scripts, run on their own: counted test suites, quoting, the front end for Python packages."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fruix.packages.build_systems import python
from fruix.packages.build_systems.checks import check
from fruix.packages.build_systems.recipe import quoted

PATTERNS = (r"it's ok$", "FAILED")


def run_check(tmp_path: Path, command: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / ".fruix").mkdir(exist_ok=True)
    script = f"set -eu\nphase() {{\n{check(command, PATTERNS)}\n}}\nphase\necho over\n"
    environment = {"NIX_BUILD_TOP": str(tmp_path), "PATH": "/usr/bin:/bin"}
    return subprocess.run(["sh", "-c", script], env=environment, capture_output=True, text=True, check=False)


def test_results_are_counted_as_they_pass_by(tmp_path: Path) -> None:
    done = run_check(tmp_path, "echo one it\\'s ok; echo two it\\'s ok >&2; echo other")
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "one it's ok",
        "two it's ok",
        "other",
        "# PASS: 2",
        "# FAIL: 0",
        "over",
    ]


def test_a_suite_that_fails_fails_the_phase(tmp_path: Path) -> None:
    done = run_check(tmp_path, "echo a it\\'s ok; echo b FAILED; false")
    assert done.returncode == 1
    assert "# PASS: 1\n# FAIL: 1\nthe test suite failed\n" in done.stdout
    assert "over" not in done.stdout


def test_flags_keep_their_text_but_for_variables(tmp_path: Path) -> None:
    flag = r'-D=$out "quoted" `no` \back a b'
    script = f"printf '%s\\n' {quoted(flag)}"
    shown = subprocess.check_output(
        ["sh", "-c", script], env={"out": "/o", "PATH": "/usr/bin:/bin"}, text=True
    )
    assert shown == r'-D=/o "quoted" `no` \back a b' + "\n"


BACKEND = """
import zipfile
def build_wheel(directory):
    with zipfile.ZipFile(directory + "/tiny-1-py3-none-any.whl", "w") as wheel:
        for name, text in {files!r}.items():
            wheel.writestr(name, text)
    return "tiny-1-py3-none-any.whl"
"""
FILES = {
    "tiny/__init__.py": "def main():\n    print('hello from', __name__)\nclass Deep:\n    run = staticmethod(main)\n",
    "tiny-1.dist-info/entry_points.txt": "[console_scripts]\ntiny = tiny:main\ndeep=tiny:Deep.run [extra]\n[other]\nnot = a:script\n",
    "tiny-1.data/data/share/tiny.txt": "data\n",
    "tiny-1.data/scripts/old": "#!/bin/sh\necho old\n",
}


def install(tmp_path: Path, files: dict[str, str]) -> subprocess.CompletedProcess[str]:
    source = tmp_path / "source"
    source.mkdir()
    (source / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "mine"\nbackend-path = ["."]\n'
    )
    (source / "mine.py").write_text(BACKEND.format(files=files))
    environment = {**os.environ, "out": f"{tmp_path}/out", "NIX_BUILD_TOP": str(tmp_path), "PYTHONPATH": ""}
    return subprocess.run(
        [sys.executable, "-"],
        input=python._FRONT_END,
        cwd=source,
        env=environment,
        text=True,
        capture_output=True,
        check=False,
    )


def test_a_wheel_is_installed_with_its_programs_and_data(tmp_path: Path) -> None:
    done = install(tmp_path, FILES)
    assert done.returncode == 0, done.stderr
    out = tmp_path / "out"
    assert sorted(os.listdir(out / "bin")) == ["deep", "old", "tiny"]
    for name in ("tiny", "deep"):
        program = out / "bin" / name
        assert program.read_text().startswith(f"#!{sys.executable}\n")
        shown = subprocess.check_output([sys.executable, str(program)], text=True, cwd="/")
        assert shown == "hello from tiny\n"
    assert subprocess.check_output([str(out / "bin/old")], text=True) == "old\n"
    assert (out / "share/tiny.txt").read_text() == "data\n"


@pytest.mark.parametrize("name", ["../../../../evil", "tiny-1.data/scripts/../../../evil"])
def test_a_wheel_can_not_write_elsewhere(tmp_path: Path, name: str) -> None:
    done = install(tmp_path, {**FILES, name: "x"})
    assert done.returncode == 1
    assert "leads out of the output" in done.stderr
    assert not (tmp_path / "evil").exists()
