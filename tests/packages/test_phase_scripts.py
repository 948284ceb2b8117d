"""Pieces of builder scripts, run on their own: counted test suites, quoting, the front end for Python packages."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fruix.packages.build_systems import python

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
