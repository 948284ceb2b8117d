"""The first lines of scripts in what a build in a root installs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from fruix.packages.build_systems.shared_phases import shell_text
from packages.build_area import BuildArea

PHASE = ("patch-shebangs", shell_text("patch_shebangs.sh", OUTPUTS='"$out"'))
SHELLS = [["sh"], ["bash", "--posix"], ["busybox", "sh"]]


@pytest.fixture
def area(tmp_path: Path) -> BuildArea:
    """One of a build in a root, whose only input has `sh` and `perl`."""
    area = BuildArea(tmp_path)
    programs = area.store / "input/bin"
    install(programs / "perl", "")
    (programs / "sh").symlink_to("/bin/sh")  # builders find it first
    (area.build / "inputs").write_text(f"{area.store}/input\n")
    area.environment |= {"inputsPath": f"{area.build}/inputs", "fruixRuntime": f"{area.store}/runtime"}
    return area


def install(path: Path, text: str, mode: int = 0o555) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def run(area: BuildArea, *shell: str) -> subprocess.CompletedProcess[str]:
    area.out.mkdir(exist_ok=True)
    return area.run(PHASE, shell=shell or ("sh",))


@pytest.mark.parametrize("shell", SHELLS, ids=["sh", "bash", "busybox"])
@pytest.mark.parametrize(
    ("line", "becomes"),
    [
        ("#!/bin/sh", "#!{store}/input/bin/sh"),
        ("#! /bin/sh -e  ", "#!{store}/input/bin/sh -e"),
        ("#!/usr/bin/env perl", "#!{store}/input/bin/perl"),
        ("#!\t/usr/bin/env\t-S perl -w -T", "#!{store}/input/bin/perl -w -T"),
        ("#!/usr/local/bin/perl -w", "#!{store}/input/bin/perl -w"),
        ("#!{store}/other/bin/perl -w", "#!{store}/other/bin/perl -w"),
        ("#!mine", "#!{out}/bin/mine"),
    ],
)
def test_interpreters_are_those_of_inputs_or_its_own(
    area: BuildArea, shell: list[str], line: str, becomes: str
) -> None:
    where = {"store": area.store, "out": area.out}
    install(area.out / "bin/mine", "a program\n")
    script = install(area.out / "bin/a script", line.format(**where) + "\n#!/bin/sh\necho 'a|b'\n")
    done = run(area, *shell)
    assert done.returncode == 0, done.stdout
    assert script.read_text() == becomes.format(**where) + "\n#!/bin/sh\necho 'a|b'\n"
    assert script.stat().st_mode & 0o111 == 0o111


def test_a_script_whose_interpreter_no_input_has_fails_the_build(area: BuildArea) -> None:
    install(area.out / "libexec/more/script", "#!/usr/bin/python3\n")
    install(area.out / "sbin/good", "#!/bin/sh\n")
    done = run(area)
    assert done.returncode == 1
    assert f"{area.out}/libexec/more/script: is a script for 'python3', which no input has" in done.stdout
    assert 'inputs=[find("dash")]' in done.stdout


def test_what_is_no_script_or_no_program_is_left_alone(area: BuildArea) -> None:
    install(area.out / "bin/program", "\x7fELF")
    install(area.out / "bin/notes", "#!/usr/bin/none\n", mode=0o444)
    install(area.out / "share/example", "#!/usr/bin/none\n")
    install(area.out / "bin/empty", "#!\n")
    (area.out / "bin/link").symlink_to("/nonexistent")
    done = run(area)
    assert done.returncode == 0, done.stdout
    assert (area.out / "share/example").read_text() == "#!/usr/bin/none\n"


def test_with_a_host_view_scripts_are_run_by_the_host(area: BuildArea) -> None:
    del area.environment["fruixRuntime"]
    script = install(area.out / "bin/script", "#!/usr/bin/python3\n")
    assert run(area).returncode == 0
    assert script.read_text() == "#!/usr/bin/python3\n"
