"""The shell in builders: what shellcheck says, and how failures end.

Of every build system, with every combination of arguments.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from fruix.packages.build_systems import BUILD_SYSTEMS
from fruix.packages.build_systems.recipe import quoted
from fruix.packages.build_systems.shared_phases import (
    SET_UP,
    counted,
    finish,
    locales,
    run_pytest,
    shell_text,
)
from fruix.packages.package import Origin, Package
from fruix.packages.phases import Phases, script
from fruix.packages.search_paths import SEARCH_PATHS
from packages.build_area import BuildArea

SHELLS = [["sh"], ["bash", "--posix"], ["busybox", "sh"]]
SHA = "0" * 64

# Argument → values that make another script.
FLAGS = ((), ("-DX=$out", "a b", "it's", "$$ORIGIN", '"`x`"'))
VALUES: dict[str, Sequence[Any]] = {
    "configure_flags": FLAGS,
    "make_flags": FLAGS,
    "check_flags": FLAGS,
    "check_target": ("check", "te st"),
    "check_command": ("python3 -m unittest", "make check\nfalse || true\n./more 'x'"),
    "source_directory": (".", "a b"),
    "build_type": ("Release",),
    "tests": (True, False),
    "count_tests": ((), ("it's ok", 'FAIL"$')),
    "parallel": (True, False),
    "install": (((".", "./"),), (("a b", "it's/"), ("c", "d"))),
    "script": ('echo > "$out"',),
}


def combinations(system: str) -> Iterator[dict[str, Any]]:
    names = sorted(
        name
        for name in BUILD_SYSTEMS[system].arguments.__dataclass_fields__
        if name not in {"phases", "environment"}
    )
    for values in itertools.product(*(VALUES[name] for name in names)):
        yield dict(zip(names, values, strict=True))


def phases(system: str) -> list[tuple[str, str]]:
    """Every phase in all its forms."""
    found = {
        item
        for outputs in (("out",), ("out", "lib"))
        for arguments in combinations(system)
        for item in Package(
            name="x",
            version="1",
            build_system=system,
            arguments=arguments,
            outputs=outputs,
            source=Origin(("http://x/y.tar",), SHA),
        ).recipe.phases.items
    }
    return sorted(found)


def scripts(system: str) -> list[str]:
    """A builder for each of them: what two builders share is looked at once."""
    return [script(Phases((item,))) for item in phases(system)]


# What the derivation and the daemon set; what a builder reads first, which shellcheck can't find.
GIVEN = (
    "export setUp source patches nativeInputsPath pname out lib NIX_BUILD_TOP NIX_STORE NIX_BUILD_CORES "
    "make fruix fruix_inputs fruix_own fruix_host REAL STORE TOP OUT LOADER LIBRARIES\n"
)


def shellcheck(directory: Path, texts: Sequence[str]) -> list[str]:
    """What it finds, a line each."""
    for number, text in enumerate(texts):
        first = text.partition("\n")[0] if text.startswith("# shellcheck ") else ""
        (directory / f"{number}.sh").write_text(f"#!/bin/sh\n{first}\n{GIVEN}{text}")
    done = subprocess.run(
        ["shellcheck", "-s", "sh", "-f", "json", "-e", "SC1090", *(f"{n}.sh" for n in range(len(texts)))],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )
    found = json.loads(done.stdout)
    return [
        f"SC{item['code']} {item['message']}: {texts[int(item['file'][:-3])].splitlines()[item['line'] - 4]}"
        for item in found
    ]


@pytest.mark.parametrize("system", sorted(BUILD_SYSTEMS))
def test_shellcheck_finds_nothing(system: str, tmp_path: Path) -> None:
    assert shellcheck(tmp_path, scripts(system)) == []


def test_shellcheck_finds_nothing_in_shared_scripts(tmp_path: Path) -> None:
    texts = [
        SET_UP,
        *map(shell_text, ("ld.sh", "validate_runpath_files.sh", "strip_files.sh", "patch_shebangs_files.sh")),
    ]
    found = [line for line in shellcheck(tmp_path, texts) if "appears unused" not in line]
    assert found == []


def test_shellcheck_would_find_something(tmp_path: Path) -> None:
    assert any("SC2086" in line for line in shellcheck(tmp_path, ["rm -rf $source\n"]))


@pytest.fixture
def area(tmp_path: Path) -> BuildArea:
    return BuildArea(tmp_path)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("system", sorted(BUILD_SYSTEMS))
def test_scripts_are_shell(system: str, shell: list[str]) -> None:
    for text in scripts(system):
        subprocess.run([*shell, "-n"], input=text.encode(), check=True)


FAILING = (
    "false\necho not reached",
    "(exit 3)\necho not reached",
    "cd /nonexistent\necho not reached",
    "x=$(false)\necho $x not reached",
)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("command", FAILING)
@pytest.mark.parametrize("patterns", [(), ("ok", "bad")])
def test_any_failing_command_fails_the_phase(
    area: BuildArea, shell: list[str], command: str, patterns: tuple[str, ...]
) -> None:
    """Whether tests are counted or not: left of `||` the shell would go on."""
    done = area.run(("check", counted(command, patterns)), ("install", "echo installed"), shell=shell)
    assert done.returncode != 0
    assert "not reached" not in [line for line in done.stdout.splitlines() if not line.startswith("$")]
    assert "installed" not in done.stdout
    assert "phase check failed with status" in done.stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_results_are_counted_as_they_pass_by(area: BuildArea, shell: list[str]) -> None:
    command = "echo one it\\'s ok; echo two it\\'s ok >&2; echo other; false || true"
    done = area.run(("check", counted(command, (r"it's ok$", "FAILED"))), ("next", "echo over"), shell=shell)
    assert done.returncode == 0, done.stdout
    assert [line for line in done.stdout.splitlines() if not line.startswith("$")] == [
        "@ fruix phase check",
        "one it's ok",
        "two it's ok",
        "other",
        "# PASS: 2",
        "# FAIL: 0",
        "@ fruix phase next",
        "over",
    ]


def test_a_counted_suite_that_fails(area: BuildArea) -> None:
    command = "echo a it\\'s ok; echo b FAILED; exit 1"
    done = area.run(("check", counted(command, (r"it's ok$", "FAILED"))))
    assert done.returncode == 1
    assert "# PASS: 1\n" in done.stdout
    assert "# FAIL: 1\n" in done.stdout
    assert "the test suite failed\n" in done.stdout


def test_a_counted_suite_may_end_its_own_shell(area: BuildArea) -> None:
    done = area.run(("check", counted("echo fine; exit 0", ("fine", "FAILED"))))
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_the_last_command_shown_is_the_one_that_failed(area: BuildArea, shell: list[str]) -> None:
    done = area.run(("build", "echo one\nls /nonexistent/$pname\necho two"), shell=shell)
    assert done.returncode != 0
    commands = [line for line in done.stdout.splitlines() if line.startswith("$ ")]
    assert commands == ["$ echo one", "$ ls /nonexistent/mine"]
    assert done.stdout.splitlines()[-1].startswith("phase build failed with status ")


@pytest.mark.parametrize("shell", SHELLS)
def test_phases_of_ours_show_no_commands(area: BuildArea, shell: list[str]) -> None:
    area.out.mkdir()
    done = area.run(*finish(["out"])[:3], shell=shell)
    names = [line.removeprefix("@ fruix phase ") for line in done.stdout.splitlines()]
    assert names == ["tidy", "patch-shebangs", "strip"]


def test_failed_tests_are_named(area: BuildArea) -> None:
    """As Automake, CTest and Meson leave them behind."""
    files = {
        "source/tests/one.trs": ":test-result: FAIL one.sh\n",
        "source/tests/two.trs": ":test-result: PASS two.sh\n",
        "source/tests/test-suite.log": "FAIL: one\n" + "line\n" * 40 + "the end of the log\n",
        "source/lib/test-suite.log": "all is well\n",
        "build-tree/Testing/Temporary/LastTestsFailed.log": "3:ctest-three\n",
        "build-tree/meson-logs/testlog.json": '{"name": "suite / good", "result": "OK"}\n'
        '{"name": "suite / bad one", "stdout": "x", "result": "FAIL"}\n',
    }
    for name, text in files.items():
        path = area.build / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    done = area.run(("check", "echo checking; exit 2"))
    assert done.returncode == 2
    assert "the end of the log" in done.stdout
    assert "all is well" not in done.stdout
    assert done.stdout.splitlines()[-2:] == [
        "failed tests: ctest-three, one, suite / bad one",
        "phase check failed with status 2",
    ]
    assert "failed tests" not in area.run(("build", "exit 2")).stdout


def test_locales_are_made_and_found(area: BuildArea) -> None:
    """By the root's localedef, of which there is a double: it writes down how it was called."""
    (area.tools / "localedef").write_text('#!/bin/sh\nfor last; do :; done\necho "$*" > "$last"\n')
    (area.tools / "localedef").chmod(0o755)
    make = locales("en_US", "ja_JP.EUC-JP")
    assert area.run(("make", make), ("check", 'echo "path: ${LOCPATH-}"')).stdout.splitlines()[-1] == "path: "
    done = area.run(("make", f"fruixRoot=/root\n{make}"), ("check", 'cat "$LOCPATH/en_US.utf8"; env'))
    place = area.build / ".fruix/locales"
    assert f"--no-warnings=ascii -i en_US -f UTF-8 {place}/en_US.utf8" in done.stdout.splitlines()
    assert f"LOCPATH={place}" in done.stdout.splitlines()
    assert sorted(os.listdir(place)) == ["en_US.utf8", "ja_JP.eucjp"]
    assert "-i ja_JP -f EUC-JP" in (place / "ja_JP.eucjp").read_text()


def test_pytest_runs_on_what_is_installed_and_is_counted_where_there_is_a_root(area: BuildArea) -> None:
    """By the root's Python, of which there is a double."""
    (area.tools / "python3").write_text(
        '#!/bin/sh\necho "$* in $PYTHONPATH"\necho "tests/a.py::one PASSED   [ 50%]"\n'
        'echo "tests/a.py::two $verdict [100%]"\n[ "$verdict" = PASSED ]\n'
    )
    (area.tools / "python3").chmod(0o755)
    site = area.out / "lib/python3/site-packages"
    area.environment["verdict"] = "FAILED"
    assert "pytest" not in area.run(("build", run_pytest("tests"))).stdout
    area.environment["fruixRoot"] = "/frx/store/debian"
    failed = area.run(("build", run_pytest("tests")))
    assert failed.returncode != 0
    assert {"# PASS: 1", "# FAIL: 1"} <= set(failed.stdout.splitlines())
    area.environment["verdict"] = "PASSED"
    done = area.run(("build", run_pytest("tests -k 'a b'")))
    assert f"-m pytest -v -p no:cacheprovider tests -k a b in {site}" in done.stdout.splitlines()
    assert done.stdout.splitlines()[-2:] == ["# PASS: 2", "# FAIL: 0"]


def listed(area: BuildArea, names: Sequence[str], native: Sequence[str] = ()) -> None:
    for variable, items in (("inputs", names), ("nativeInputs", native)):
        file = area.build / f".attr-{variable}"
        file.write_text("".join(f"{area.store}/{name}\n" for name in items))
        area.environment[f"{variable}Path"] = str(file)


VARIABLES = (
    "PATH",
    "CPATH",
    "LIBRARY_PATH",
    "PKG_CONFIG_PATH",
    "ACLOCAL_PATH",
    "CMAKE_PREFIX_PATH",
    "PYTHONPATH",
)


def search_paths(area: BuildArea, shell: Sequence[str] = ("sh",)) -> dict[str, list[str]]:
    words = [
        *shell,
        "-euc",
        '. "$setUp"; for name; do eval "echo \\"\\$name=\\${$name-}\\""; done',
        "sh",
        *VARIABLES,
    ]
    done = area.execute(words)
    assert done.returncode == 0, done.stdout[:1000]
    found = dict(line.split("=", 1) for line in done.stdout.splitlines())
    return {
        name: [item.replace(f"{area.store}/", "") for item in value.split(":") if value]
        for name, value in found.items()
    }


@pytest.mark.parametrize("shell", SHELLS)
def test_search_paths_list_directories_that_exist(area: BuildArea, shell: list[str]) -> None:
    there = {
        "a": ("bin", "include", "lib/pkgconfig"),
        "b": ("lib", "share/pkgconfig"),
        "tool": ("bin", "sbin", "include", "lib/python3/site-packages", "share/aclocal"),
    }
    for name, directories in there.items():
        for directory in directories:
            (area.store / name / directory).mkdir(parents=True)
    listed(area, ["a", "b"], ["tool"])
    assert search_paths(area, shell) == {
        "PATH": ["a/bin", "tool/bin", "tool/sbin", str(area.tools), "/usr/bin", "/bin"],
        "CPATH": ["a/include"],
        "LIBRARY_PATH": ["a/lib", "b/lib"],
        "PKG_CONFIG_PATH": ["a/lib/pkgconfig", "b/share/pkgconfig"],
        "ACLOCAL_PATH": ["tool/share/aclocal"],
        "CMAKE_PREFIX_PATH": ["a", "b"],
        "PYTHONPATH": ["tool/lib/python3/site-packages"],
    }


def test_without_inputs_there_are_no_search_paths(area: BuildArea) -> None:
    found = search_paths(area)
    assert found.pop("PATH") == [str(area.tools), "/usr/bin", "/bin"]
    assert not any(found.values())
    assert area.run(("build", 'echo "${CPATH-unset}"')).stdout.splitlines()[-1] == "unset"


def test_more_than_900_inputs(area: BuildArea) -> None:
    """What would be too long for a variable names short links to the same directories, in the same order."""
    names = [f"{number:032}-n" for number in range(2500)]
    for name in names[:1000]:
        for directory in ("bin", "include", "lib"):
            (area.store / name / directory).mkdir(parents=True)
    listed(area, names[:1000], names[1000:])
    found = search_paths(area)
    assert len(found["PATH"]) == 1003
    assert len(found["CPATH"]) == len(found["LIBRARY_PATH"]) == 1000
    for name in names[1000:]:
        (area.store / name / "bin").mkdir(parents=True)
    (area.store / names[-1] / "bin" / "last").write_text("#!/bin/sh\necho found\n")
    (area.store / names[-1] / "bin" / "last").chmod(0o755)
    with tempfile.TemporaryDirectory(dir="/tmp") as top:  # as short as those of real builds
        area.environment["NIX_BUILD_TOP"] = top
        check_many(area, names)


def check_many(area: BuildArea, names: Sequence[str]) -> None:
    script = 'last\nfor place in $(echo "$PATH" | tr : " "); do readlink "$place" || echo "$place"; done'
    for _ in range(2):  # shells that look around in a build read the set-up again
        done = area.run(("build", "{ set +x; } 2>/dev/null\n" + script))
        assert done.returncode == 0, done.stdout[-1000:]
        assert "found" in done.stdout.splitlines()
    places = [line for line in done.stdout.splitlines() if line.endswith("/bin")]
    assert places[:2500] == [f"{area.store}/{name}/bin" for name in names]


def test_flags_keep_their_text_but_for_variables(area: BuildArea) -> None:
    flag = r'-D=$out "quoted" `no` \back a b $$ORIGIN ${pname} $$$$'
    shown = area.run(
        ("build", f"{{ set +x; }} 2>/dev/null\nprintf '%s\\n' {quoted(flag)}")
    ).stdout.splitlines()[-1]
    assert shown == rf'-D={area.out} "quoted" `no` \back a b $ORIGIN mine $$'


def test_the_set_up_says_where_it_is_used(area: BuildArea) -> None:
    """A failure before the first phase has its own words."""
    area.environment["inputsPath"] = "/nonexistent"
    done = area.run(("build", "true"))
    assert done.returncode != 0
    assert "/nonexistent" in done.stdout
    assert os.listdir(area.build) == [".fruix"]


def test_builders_set_the_search_paths_of_the_table() -> None:
    """Guix's clients read the file as it stands, without Python."""
    lists = {True: '"$fruix_all"', False: '"$fruix_inputs"'}
    rows = [
        " ".join(
            ["search_path", path.variable, lists[path.every], *(name or "''" for name in path.directories)]
        )
        for path in SEARCH_PATHS
    ]
    assert shell_text("search_paths.sh").splitlines() == rows
    assert "\n".join(rows) in SET_UP
