"""What was built from a file is known by its name to every command that takes what was built.

With or without version. On a private /frx.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from machine import private_frx

FILE = """
def made(name, version, script, *inputs):
    arguments = {"script": script}
    return Package(
        name=name, version=version, build_system="trivial", arguments=arguments, inputs=list(inputs)
    )
old = made("greet", "1", "mkdir $out; echo old > $out/word")
greet = made("greet", "2", "mkdir $out; echo made > $out/word")
user = made("user-of-greet", "3", "read -r greet < $inputsPath; echo $greet > $out", greet)
broken = made("broken", "4", "echo oops; exit 3")
"""


def fruix(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FRUIX_", "NIX_"))}
    command = [sys.executable, "-m", "fruix", *words]
    return subprocess.run(
        command, capture_output=True, text=True, env={**kept, **more}, check=False, cwd="/", timeout=100
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The paths by full name."""
    top = tmp_path_factory.mktemp("names")
    found = {}
    with private_frx():
        for name in ("old", "greet", "user", "broken"):
            file = top / f"{name}.py"
            file.write_text(f"{FILE}\npackage = {name}\n")
            done = fruix("build", "-f", str(file))
            assert done.returncode == (100 if name == "broken" else 0), done.stderr
            found[name] = done.stdout.strip()
            found[f"{name}-error"] = done.stderr
        yield found


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("log", "greet"), "$ echo made"),
        (("log", "greet-1"), "$ echo old"),
        (("log", "greet@1"), "$ echo old"),
        (("log", "broken"), "oops"),
        (("log", "--record", "broken-4"), '"failedTests": []'),
        (("show", "greet"), '"name": "greet-2"'),
        (("show", "greet-1"), '"name": "greet-1"'),
        (("show", "user-of-greet"), '"name": "user-of-greet-3"'),
        (("enter", "greet", "--", "/bin/sh", "-c", "echo $version"), "2"),
        (("enter", "broken", "--", "/bin/sh", "-c", "echo $version"), "4"),
        (("why", "user-of-greet", "greet"), "{greet}"),
        (("why", "--build", "user-of-greet-3", "greet-2"), "-greet-2.drv"),
        (("why-rebuild", "greet-1", "greet"), "greet-2"),
        (("size", "user-of-greet"), "{greet}"),
        (("graph", "user-of-greet"), "{greet}"),
        (("graph", "-t", "derivations", "user-of-greet@3"), "-greet-2.drv"),
        (("store", "info", "greet"), "path: {greet}"),
        (("store", "info", "greet-1"), "path: {old}"),
        (("store", "ls", "greet"), "word"),
        (("store", "cat", "user-of-greet"), "{greet}"),
        (("store", "references", "user-of-greet"), "{greet}"),
        (("store", "referrers", "greet"), "{user}"),
        (("store", "requisites", "user-of-greet"), "{greet}"),
        (("store", "derivers", "greet"), "-greet-2.drv"),
        (("store", "failures", "--clear", "broken"), ""),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_every_command_knows_it(words: tuple[str, ...], said: str, built: dict[str, str]) -> None:
    done = fruix(*words)
    assert done.returncode == 0, done.stderr
    assert said.format_map(built) in done.stdout


def test_the_next_command_of_a_failure_is_by_name(built: dict[str, str]) -> None:
    assert built["broken-error"].splitlines()[-1] == (
        "hint: fruix log broken-4; fruix enter broken-4 (a shell in its sandbox)"
    )


@pytest.mark.parametrize(
    "words",
    [
        ("log", "greed"),
        ("show", "greet-7"),
        ("enter", "greed"),
        ("why", "greed", "greet"),
        ("size", "greed"),
        ("store", "info", "greed"),
        ("graph", "greed"),
    ],
    ids="-".join,
)
def test_a_name_of_nothing(words: tuple[str, ...], built: dict[str, str]) -> None:
    done = fruix(*words)
    assert done.returncode == 2
    assert "there is no package 'gree" in done.stderr
    assert "nothing of that name was built here" in done.stderr.splitlines()[-1]
    del built


def test_a_package_goes_before_what_was_built(built: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "greet.py").write_text(FILE.replace('"2"', '"9"') + "\npackage = greet\n")
    path = {"FRUIX_PACKAGE_PATH": str(tmp_path)}
    assert "version: 9" in fruix("show", "greet", **path).stdout
    assert "version: 9" in fruix("show", "greet-9", **path).stdout
    assert '"name": "greet-1"' in fruix("show", "greet-1", **path).stdout
    assert "is not built" in fruix("size", "greet", **path).stderr
    del built
