"""A small package built here and in a tree of another distribution: all paths of the two stores are the same.

`make two-hosts` does the same with ten packages; docs/reproducibility.md says what differs between
the two hosts.
"""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "two-hosts"
# What might tell hosts apart is part of its result: names, users, rights, environment, what a compiler notes.
DEFINITION = """
package = Package(
    name="differences", version="1", build_system="trivial", root="debian-12",
    arguments={"script": '''
mkdir -p $out/bin
touch c a b; { ls; umask; id; hostname; date -r a +%z; locale; } > $out/told
unset NIX_BUILD_CORES; env | grep -v debian-12 | sort >> $out/told  # results don't refer to the root
echo 'int main(void) { return 0; }' > main.c
cc -g -o $out/bin/nothing main.c
'''},
)
"""


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="machine: not root on Linux")
def test_a_small_package(tmp_path: Path) -> None:
    (tmp_path / "differences.py").write_text(DEFINITION)
    done = subprocess.run(
        [sys.executable, SCRIPT, tmp_path / "hosts", tmp_path / "differences.py"],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("; 0 on one host only, 0 differ\n")


SAME = {"/frx/store/a.drv": "1", "/frx/store/b": "2"}


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ({**SAME, "/frx/store/b": "3"}, "not the same contents: /frx/store/b\n"),
        ({"/frx/store/a.drv": "1", "/frx/store/c": "2"}, "only on the other host: /frx/store/c\n"),
        ({"/frx/store/b": "2"}, "only on this host: /frx/store/a.drv\n"),
    ],
)
def test_differences_are_named(second: dict[str, str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    compare = runpy.run_path(str(SCRIPT))["compare"]
    with pytest.raises(SystemExit) as ended:
        compare(SAME, second)
    assert ended.value.code is True
    assert said in capsys.readouterr().out
