"""`fruix shell` and `fruix run`, with a live daemon and packages of its own.

Without root see tests/test_without_root.py.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from machine import private_frx
from waiting import PATIENCE

ENVIRONMENT = {
    name: value for name, value in os.environ.items() if not name.startswith(("FRUIX_", "NIX_", "METADATA"))
}
COMMAND = [sys.executable, "-m", "fruix"]
MADE = r"""
def made(name, *programs, files="", **more):
    script = "mkdir -p $out/bin\n" + "".join(
        f"printf '#!/bin/sh\\necho {program} of {name}: \"$@\"; exit $STATUS\\n' > $out/bin/{program}\n"
        f"chmod +x $out/bin/{program}\n"
        for program in programs
    ) + files
    return Package(name=name, version="1.0", build_system="trivial", arguments={"script": script}, **more)

low = made("low", files="mkdir -p $out/include; echo '#define LOW 20' > $out/include/low.h\n")
"""
FILES = {
    "tool": 'package = made("tool", "other", "tool")',
    "only": 'package = made("only", "differently")',
    "several": 'package = made("several", "first", "second")',
    "nothing": 'package = made("nothing")',
    "both": 'packages = [made("tool", "tool"), made("only", "differently")]',
    "broken": 'package = made("broken", files="exit 3")',
    "library": (
        "package = made('library', propagated_inputs=[low], files='''"
        "mkdir -p $out/include $out/lib/pkgconfig\n"
        'printf "#include <low.h>\\n#define HIGH 1\\n" > $out/include/library.h\n'
        "printf \"Name: library\\nDescription: x\\nVersion: 7\\n\" > $out/lib/pkgconfig/library.pc''')"
    ),
}


def fruix(
    *words: str, code: int = 0, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*COMMAND, *words],
        capture_output=True,
        text=True,
        check=False,
        env={**ENVIRONMENT, "STATUS": "0", **(environment or {})},
    )
    assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def daemon() -> Iterator[None]:
    with private_frx():
        process = subprocess.Popen([*COMMAND, "daemon"], env=ENVIRONMENT, stderr=subprocess.DEVNULL)
        try:
            fruix("daemon", "--ping", "--wait", "60")
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0


@pytest.fixture
def files(daemon: None, tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / f"{name}.py").write_text(f"{MADE}\n{text}\n")
    return tmp_path


# fruix run


def test_the_program_named_like_the_package_runs(files: Path) -> None:
    file = f"{files}/tool.py"
    first = fruix("run", file, "a", "--help", "--", "b")
    assert first.stdout == "tool of tool: a --help -- b\n"
    assert "1 to build" in first.stderr
    again = fruix("run", file, "--", "--version", code=7, environment={"STATUS": "7"})
    assert (again.stdout, again.stderr) == ("tool of tool: --version\n", ""), (
        "what is there is run, and nothing is said"
    )
    (out,) = fruix("build", file).stdout.split()
    assert fruix("run", out).stdout == "tool of tool:\n", "by the name of the path"
    assert fruix("run", "--program", "other", file).stdout == "other of tool:\n"


def test_the_only_program_runs(files: Path) -> None:
    assert fruix("run", f"{files}/only.py").stdout == "differently of only:\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["several"], ["and none is named like it: first, second", "hint: fruix run --program first "]),
        (["--program", "third", "several"], ["has no program 'third'", "hint: it has: first, second"]),
        (["nothing"], ["has no programs", "hint: to have it in a shell: fruix shell "]),
        (["both"], ["the file defines several packages: tool, only"]),
    ],
)
def test_other_programs_are_listed(files: Path, words: list[str], said: list[str]) -> None:
    found = fruix("run", *words[:-1], f"{files}/{words[-1]}.py", code=2).stderr
    for text in said:
        assert text in found


def test_what_can_not_be_built_does_not_run(files: Path) -> None:
    found = fruix("run", f"{files}/broken.py", code=100)
    assert "broken-1.0 failed" in found.stderr


def test_a_package_that_is_not_there(daemon: None) -> None:
    assert "there is no package 'no-such'" in fruix("run", "no-such", code=2).stderr
    said = fruix("run", "pwd", code=2).stderr
    assert "there is no package 'pwd'" in said
    assert "hint: for the system's program of that name: fruix shell -- pwd" in said


def test_what_was_built_is_known_by_its_name(files: Path) -> None:
    fruix("build", f"{files}/only.py")
    assert fruix("run", "only").stdout == "differently of only:\n"
    assert fruix("shell", "only-1.0", "--", "differently").stdout == "differently of only:\n"


# fruix shell


def test_programs_of_packages_are_found_before_others(files: Path) -> None:
    words = [
        "shell",
        f"{files}/tool.py",
        f"{files}/several.py",
        "--",
        "sh",
        "-c",
        'tool "$@"; second; echo $FRUIX_SHELL',
        "x",
    ]
    assert fruix(*words, "a", "--", "b").stdout.splitlines() == [
        "tool of tool: a -- b",
        "second of several:",
        "tool-1.0 several-1.0",
    ]


def test_a_compiler_finds_headers_also_those_that_are_propagated(files: Path) -> None:
    (files / "x.c").write_text("#include <library.h>\nint main(void) { return LOW + HIGH; }\n")
    script = f"cc -o {files}/x {files}/x.c && {files}/x"
    fruix("shell", f"{files}/library.py", "--", "sh", "-c", script, code=21)
    fruix("shell", "--", "sh", "-c", script, code=1)


def test_pkg_config_finds_packages(files: Path) -> None:
    done = fruix("shell", "-f", f"{files}/library.py", "--", "sh", "-c", "echo $PKG_CONFIG_PATH")
    (path,) = done.stdout.split()
    assert (Path(path) / "library.pc").is_file()


def test_a_pure_shell_has_nothing_else(files: Path) -> None:
    env = os.path.realpath("/usr/bin/env")
    done = fruix("shell", "--pure", f"{files}/tool.py", "--", env, environment={"EDITOR": "ed", "HOME": "/h"})
    found = dict(line.split("=", 1) for line in done.stdout.splitlines())
    (out,) = fruix("build", f"{files}/tool.py").stdout.split()
    assert found["PATH"] == f"{out}/bin"
    assert found["HOME"] == "/h"
    assert "EDITOR" not in found
    assert fruix("shell", "--pure", f"{files}/tool.py", "--", "tool").stdout == "tool of tool:\n"
    missing = fruix("shell", "--pure", f"{files}/tool.py", "--", "env", code=2).stderr
    assert "there is no program 'env'" in missing
    assert "these packages have other, tool; without --pure" in missing
    assert "name packages" in fruix("shell", "--pure", code=2).stderr


def test_statuses_pass_through(files: Path) -> None:
    fruix("shell", f"{files}/tool.py", "--", "tool", code=9, environment={"STATUS": "9"})
    fruix("shell", "--", "sh", "-c", "kill -9 $$", code=-9)
    fruix("shell", f"{files}/tool.py", "--", "sh", "-c", "kill -PIPE $$; exit 1", code=-signal.SIGPIPE)


def test_without_a_command_it_is_the_persons_shell(files: Path) -> None:
    assert fruix("shell", f"{files}/tool.py", environment={"SHELL": "/bin/pwd"}).stdout.strip() == os.getcwd()
    assert fruix("shell", environment={"SHELL": "/bin/pwd"}).stdout.strip() == os.getcwd()


@pytest.mark.parametrize(
    "words", [["shell", "--", "sh", "-c", "echo $0 $1; exit 7", "name", "--help"]], ids=["no packages"]
)
def test_without_packages_the_command_has_the_environment_as_it_is(words: Sequence[str]) -> None:
    assert fruix(*words, code=7).stdout == "name --help\n"
    missing = fruix("shell", "--", "no-such-program", code=2).stderr
    assert "there is no program 'no-such-program'" in missing
    assert "name a file, or a program in PATH" in missing


def test_a_file_that_can_not_be_executed_is_named(tmp_path: Path) -> None:
    file = tmp_path / "no-format"
    file.write_text("neither a script nor a program\n")
    file.chmod(0o755)
    assert str(file) in fruix("shell", "--", str(file), code=1).stderr
