"""Small packages built here and in a tree of another distribution: all paths of the two stores are the same.

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
def test_small_packages(tmp_path: Path) -> None:
    (tmp_path / "differences.py").write_text(DEFINITION)
    done = subprocess.run(
        [sys.executable, SCRIPT, tmp_path / "hosts", tmp_path / "differences.py", "popt"],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("; 0 on one host only, 0 differ\n")
    rows = dict(line.split(": ", 1) for line in done.stdout.splitlines() if " | " in line)
    other = {name: row.split(" | ")[1] for name, row in rows.items()}
    assert other["a builder's user"] == "35001 is 700000 of the host"
    assert other["a builder's jobs"] == "5"
    assert (other["locale"], other["time zone"], other["umask"]) == ("tr_TR.UTF-8", "+0530", "077")
    assert other["personality"].startswith("02220000, kernel 2.6.")  # three flags of personality(2)
    # Addresses are not random.
    assert other["a builder's personality"] == f"00040000, kernel {os.uname().release}"


SAME = {"/frx/store/a.drv": "1", "/frx/store/b": "2"}
FUNCTIONS = runpy.run_path(str(SCRIPT))


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ({**SAME, "/frx/store/b": "3"}, "not the same contents: /frx/store/b\n"),
        ({"/frx/store/a.drv": "1", "/frx/store/c": "2"}, "only on the other host: /frx/store/c\n"),
        ({"/frx/store/b": "2"}, "only on this host: /frx/store/a.drv\n"),
    ],
)
def test_differences_are_named(second: dict[str, str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert not FUNCTIONS["same"](SAME, second)
    assert said in capsys.readouterr().out
    assert FUNCTIONS["same"](SAME, SAME)


@pytest.mark.parametrize(
    ("here", "there", "said"),
    [
        (({"umask": "022"}, {}), ({"umask": "022"}, {}), "umask: the same on both hosts\n"),
        (({}, {"jobs": "2"}), ({}, {"jobs": "2"}), "a builder's jobs: the same on both hosts\n"),
        (({}, {"locale": "C"}), ({}, {"locale": "tr"}), "a builder's locale: not the same on both hosts\n"),
    ],
)
def test_hosts_that_are_too_much_alike(
    here: tuple[dict[str, str], ...],
    there: tuple[dict[str, str], ...],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    one, other = (FUNCTIONS["Told"](0, *texts) for texts in (here, there))
    assert not FUNCTIONS["differ"](one, other)
    assert capsys.readouterr().out.endswith(said)
