"""Scheme of Guix's phases as shell: Guix's own `substitute*` and what stands for it make the same files."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from guile.guix_client import MODULES, ROOT, client

CASES = 8
TEXT = r"""first line abc axc
second
default = sh
/usr/bin and /usr/sbin, a | b, ab
`word' "$HOME"
file.c   joined \
last abc without a newline"""


@pytest.mark.parametrize("number", range(CASES))
def test_substitutions_are_guix_s(number: int, tmp_path: Path) -> None:
    for name in ("guix", "fruix"):
        (tmp_path / name).write_text(TEXT + "\n")
    script = ROOT / "tests/guile/substitutions.scm"
    words = [client(), "repl", "-L", str(MODULES), "--", str(script), str(number)]
    shell = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    (tmp_path / "work").mkdir()
    builder = f'set -eu\nfruix={tmp_path}/work\n. "{MODULES}/fruix/functions.sh"\n{shell}\n'
    subprocess.run(
        ["sh", "-c", builder], cwd=tmp_path, env={"PATH": os.environ["PATH"], "LC_ALL": "C"}, check=True
    )
    assert (tmp_path / "fruix").read_text() == (tmp_path / "guix").read_text() != TEXT + "\n"
