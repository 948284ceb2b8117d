"""What a shell with packages sets, from the table of search paths."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fruix.packages.programs import Program, main_program, programs
from fruix.packages.search_paths import KEPT, SEARCH_PATHS, SHELL_PATHS, shell_environment

DIRECTORIES = {
    "/a/bin", "/a/sbin", "/a/include", "/a/lib", "/a/lib/pkgconfig", "/a/share/pkgconfig", "/a/share/man",
    "/a/share/info", "/a/share/aclocal", "/a/share", "/a/lib/python3/site-packages", "/a",
    "/b/bin", "/b/lib", "/b",
}  # fmt: skip


def environment(outputs: list[str], base: dict[str, str], *, pure: bool = False) -> dict[str, str]:
    return shell_environment(outputs, base, pure=pure, is_directory=DIRECTORIES.__contains__)


def test_every_row_is_set_with_what_is_there() -> None:
    found = environment(["/a", "/b", "/a"], {})
    assert found == {
        "PATH": "/a/bin:/a/sbin:/b/bin",
        "CPATH": "/a/include",
        "LIBRARY_PATH": "/a/lib:/b/lib",
        "LD_RUN_PATH": "/a/lib:/b/lib",
        "PKG_CONFIG_PATH": "/a/lib/pkgconfig:/a/share/pkgconfig",
        "ACLOCAL_PATH": "/a/share/aclocal",
        "CMAKE_PREFIX_PATH": "/a:/b",
        "PYTHONPATH": "/a/lib/python3/site-packages",
        "MANPATH": "/a/share/man:",
        "INFOPATH": "/a/share/info:",
        "XDG_DATA_DIRS": "/a/share:/usr/local/share:/usr/share",
    }
    assert set(found) == {path.variable for path in SHELL_PATHS}
    assert set(SEARCH_PATHS) < set(SHELL_PATHS)


def test_what_is_set_already_comes_after() -> None:
    base = {"PATH": "/usr/bin", "MANPATH": "/m", "XDG_DATA_DIRS": "/s", "CPATH": "", "EDITOR": "ed"}
    found = environment(["/a"], base)
    assert found["PATH"] == "/a/bin:/a/sbin:/usr/bin"
    assert found["MANPATH"] == "/a/share/man:/m"
    assert found["XDG_DATA_DIRS"] == "/a/share:/s"
    assert found["CPATH"] == "/a/include", "an empty element would be the current directory"
    assert found["EDITOR"] == "ed"
    assert environment(["/b"], base) == {
        **base,
        "PATH": "/b/bin:/usr/bin",
        "LIBRARY_PATH": "/b/lib",
        "LD_RUN_PATH": "/b/lib",
        "CMAKE_PREFIX_PATH": "/b",
    }


def test_a_pure_one_has_nothing_else() -> None:
    kept = dict.fromkeys(KEPT, "x")
    found = environment(["/b"], {**kept, "PATH": "/usr/bin", "LIBRARY_PATH": "/l", "EDITOR": "ed"}, pure=True)
    assert found == {
        **kept,
        "PATH": "/b/bin",
        "LIBRARY_PATH": "/b/lib",
        "LD_RUN_PATH": "/b/lib",
        "CMAKE_PREFIX_PATH": "/b",
    }
    assert environment(["/a"], {}, pure=True)["MANPATH"] == "/a/share/man"
    assert environment(["/c"], {"PATH": "/usr/bin"}, pure=True) == {"PATH": ""}


def test_programs_of_outputs(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for place, mode in (
        (first / "bin/tool", 0o555),
        (first / "bin/notes", 0o444),
        (first / "sbin/served", 0o555),
        (second / "bin/tool", 0o555),
        (second / "bin/extra", 0o555),
    ):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
        place.chmod(mode)
    (first / "bin/directory").mkdir()
    os.symlink("tool", first / "bin/link")
    os.symlink("nothing", first / "bin/dangling")
    (tmp_path / "file").touch()
    found = programs(map(str, (first, second, tmp_path / "file", tmp_path / "absent")))
    assert [(program.name, str(Path(program.file).relative_to(tmp_path))) for program in found] == [
        ("extra", "second/bin/extra"),
        ("link", "first/bin/link"),
        ("served", "first/sbin/served"),
        ("tool", "first/bin/tool"),
    ]


@pytest.mark.parametrize(
    ("has", "names", "expected"),
    [
        (["a", "b"], ["b"], "b"),
        (["a", "a-b"], ["a-b-1", "a-b", "a"], "a-b"),
        (["a"], ["x"], "a"),
        (["a", "b"], ["x"], None),
        ([], ["x"], None),
    ],
)
def test_the_program_of_a_package(has: list[str], names: list[str], expected: str | None) -> None:
    found = main_program([Program(name, f"/{name}") for name in has], names)
    assert (found and found.name) == expected
