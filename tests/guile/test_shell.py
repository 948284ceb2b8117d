"""Scheme of Guix's phases as shell: both leave the same files behind, or both fail; the rest is refused."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from guile.guix_client import MODULES, ROOT, client

FORMS = ROOT / "tests/guile/forms.scm"
SOURCE = FORMS.read_text()
CASES = re.findall(r'^(?:    |\(define cases\n  `\()\("([a-z-]+)" ', SOURCE, re.MULTILINE)
TEXT = r"""first line abc axc
second
default = sh
/usr/bin and /usr/sbin, a | b, ab
`word' "$HOME"
file.c   joined \
last abc
"""
FILES = {
    "text": TEXT,
    "no end": "one\nno end",
    "empty": "",
    "locked": "locked\n",
    "in/first one/lib/there": "x\n",
    "in/two/a x b": "xx\n",
    "in/two/ab": "x\n",
    "in/two/b ab": "x\n",
}


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory where Guile has run each case, and written its shell."""
    directory = tmp_path_factory.mktemp("forms")
    for name, text in FILES.items():
        file = directory / "tree" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (directory / "tree/locked").chmod(0o444)
    (directory / "tree/dangling").symlink_to("nowhere")
    words = [client(), "repl", "-L", str(MODULES), "--", str(FORMS), str(directory)]
    subprocess.run(words, env=environment(), stdout=subprocess.DEVNULL, check=True)
    return directory


def environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": "/nowhere", "LC_ALL": "C.UTF-8", "NIX_BUILD_CORES": "3"}


def left_in(tree: Path) -> dict[str, tuple[int, str]]:
    """File → its mode, and what is in it or where it leads."""

    def described(file: Path) -> tuple[int, str]:
        mode = file.lstat().st_mode
        return mode, os.readlink(file) if file.is_symlink() else "" if file.is_dir() else file.read_text()

    return {str(file.relative_to(tree)): described(file) for file in tree.rglob("*")}


@pytest.mark.parametrize("case", CASES)
def test_the_shell_of_a_form_does_what_guile_does(case: str, forms: Path, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    subprocess.run(["cp", "-a", forms / "tree", tree], check=True)
    (tmp_path / "inputs").write_text("in/first one\nin/two\n")
    shell = (forms / f"{case}.sh").read_text()
    builder = f'set -eu\nfruix={tmp_path} fruix_all={tmp_path}/inputs\n. "{MODULES}/fruix/functions.sh"\n'
    builder += f"phase() {{\nset -x\n{shell}\n}}\nphase\n"
    done = subprocess.run(
        ["sh", "-c", builder],
        cwd=tree,
        env={**environment(), "LC_ALL": "C", "out": 'o|&\\u t"$HOME'},
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    failed = (forms / f"{case}.status").read_text() != "0"
    assert (done.returncode != 0) == failed == case.startswith("fail-"), done.stderr
    if not failed:
        assert left_in(tree) == left_in(forms / f"{case}.guix")
        if case != "no-files":
            assert left_in(tree) != left_in(forms / "tree")


def test_forms_that_no_shell_stands_for_are_refused(forms: Path) -> None:
    lines = (forms / "refused").read_text().splitlines()
    assert [line for line in lines if not line.startswith("yes ")] == []
    assert len(lines) > len(CASES) / 2


def test_shellcheck_finds_nothing(forms: Path, tmp_path: Path) -> None:
    functions = (MODULES / "fruix/functions.sh").read_text()
    phases = [f"phase_{n}() {{\n{(forms / f'{case}.sh').read_text()}\n}}" for n, case in enumerate(CASES)]
    script = tmp_path / "all.sh"
    script.write_text("\n".join(["set -eu", "fruix='' fruix_all='' out=''", functions, *phases]))
    subprocess.run(["shellcheck", "-s", "sh", script], check=True)
