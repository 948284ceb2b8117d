"""Errors name the file and line where a definition is written, and files are named beside it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fruix.errors import DefinitionError
from fruix.packages.load import from_file
from fruix.packages.package import Origin, Package
from packages.test_definitions import SHA, FakeStore, lowering
from packages.wrong_definitions import FIELDS, SOURCE

FILE = """
from helper import make

def change(phases):
    return phases.{what}

base = make("base")
package = base.inherit(
    name="top",
    arguments={{"phases": change}},
)
"""
HELPER = """
def make(name, **more):
    return Package(name=name, version="1", source=Origin(["https://a.example/x.tgz"], "{sha}"), **more)
"""


@pytest.mark.parametrize(
    ("what", "line", "message"),
    [
        ("names", 8, "argument 'phases' should be a function that returns Phases"),
        ("remove('nothing')", 5, "argument 'phases': there is no phase 'nothing'"),
        ("nothing", 5, "argument 'phases': AttributeError: 'Phases' object has no attribute 'nothing'"),
    ],
)
def test_the_place_is_where_it_was_written(tmp_path: Path, what: str, line: int, message: str) -> None:
    """Through `inherit`, of the line in a function for phases, and in a file that was imported."""
    (tmp_path / "helper.py").write_text(HELPER.format(sha=SHA))
    path = tmp_path / "file.py"
    path.write_text(FILE.format(what=what))
    with pytest.raises(DefinitionError) as caught:
        from_file(str(path))
    assert str(caught.value).startswith(f"{path}:{line}: top: {message}")


def test_the_place_in_an_imported_file(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text(HELPER.format(sha="zz"))
    path = tmp_path / "other.py"
    path.write_text("from helper import make\npackage = make('x')\n")
    with pytest.raises(DefinitionError) as caught:
        from_file(str(path))
    assert str(caught.value).startswith(f"{tmp_path}/helper.py:3: Origin: field 'sha256'")


def test_errors_while_lowering_have_the_place_too() -> None:
    """What only the store finds out."""
    package = Package(**FIELDS, source=SOURCE)
    line = package.location.line
    object.__setattr__(package, "outputs", ("out", "a b"))
    with pytest.raises(DefinitionError, match=re.escape(f"{__file__}:{line}: x: ")):
        lowering(FakeStore()).lowered(package)


def test_patches_are_beside_the_definition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never taken from the current directory, whatever lies there."""
    here, there = tmp_path / "here", tmp_path / "there"
    for directory in (here, there):
        directory.mkdir()
        (directory / "fix.patch").write_text(directory.name)
    monkeypatch.chdir(here)
    (there / "p.py").write_text(
        "package = Package(name='p', version='1', "
        f"source=Origin(['https://a/b'], '{SHA}', patches=['fix.patch']))\n"
    )
    for name in ("../there/p.py", str(there / "p.py")):
        [package] = from_file(name)
        assert package.source is not None
        assert package.source.patches == (str(there / "fix.patch"),)
    (there / "fix.patch").unlink()
    (there / "q.py").write_text((there / "p.py").read_text())
    with pytest.raises(DefinitionError, match="item 1 of field 'patches' should be a file") as caught:
        from_file(str(there / "q.py"))
    assert f"{there}/fix.patch" in caught.value.hint
    [path] = Origin(["https://a/b"], SHA, patches=[here / "fix.patch"]).patches  # type: ignore[arg-type]
    assert path == str(here / "fix.patch")
