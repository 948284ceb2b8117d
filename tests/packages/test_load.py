"""Packages by name: the catalogue, the package path, files and expressions, and what is said of wrong ones."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fruix.errors import UsageError
from fruix.packages import load
from fruix.packages.catalogue import shipped, shipped_names
from fruix.packages.load import all_packages, find, from_expression, from_file, known_names
from fruix.packages.package import Package

MINE = "package = Package(name={name!r}, version={version!r}, build_system='trivial', arguments={{'script': 'true'}})\n"
Write = Callable[..., Path]


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Writes a file into a directory of the package path."""
    monkeypatch.setattr(load, "_loaded", {})
    monkeypatch.setenv(load.PATH_VARIABLE, f"{tmp_path}/one:{tmp_path}/two")
    for name in ("one", "two"):
        (tmp_path / name).mkdir()

    def write(
        file: str, text: str = "", *, directory: str = "one", name: str = "", version: str = "1"
    ) -> Path:
        path = tmp_path / directory / file
        path.write_text(text or MINE.format(name=name or path.stem, version=version))
        return path

    yield write
    assert load._loading == []


def test_what_the_catalogue_has() -> None:
    assert find("hello") is shipped("hello")
    assert find("flit-core").name == "flit-core"
    assert len(shipped_names()) >= 15
    assert {package.name for package in all_packages()} >= set(shipped_names())


def test_names_that_are_not_there() -> None:
    with pytest.raises(UsageError, match="no package 'hallo'") as caught:
        find("hallo")
    assert "hello" in caught.value.hint
    with pytest.raises(UsageError, match=r"no package '\.\./hello'"):
        find("../hello")


def test_the_path_goes_before_the_catalogue(on_path: Write) -> None:
    on_path("hello.py", version="99", directory="two")
    assert find("hello").version == "99"
    on_path("hello.py", version="100", directory="one")
    assert find("hello").version == "100"
    assert find("hello") is find("hello")
    with pytest.raises(UsageError, match="has version 100, not 99"):
        find("hello@99")
    assert "zlib" in known_names()


def test_files_find_each_other(on_path: Write) -> None:
    on_path("low.py")
    on_path(
        "top_most.py", "package = find('low').inherit(name='top-most', inputs=(find('low'), find('zlib')))\n"
    )
    top = find("top-most")
    assert top.inputs == (find("low"), shipped("zlib"))
    assert top.inputs[0] is find("low")
    assert {"low", "top-most"} <= {package.name for package in all_packages()}


def test_several_versions(on_path: Write) -> None:
    on_path(
        "tool.py",
        MINE.format(name="tool", version="1") + "packages = [package, package.inherit(version='2')]\n",
    )
    assert [find(word).version for word in ("tool", "tool@1", "tool@2")] == ["1", "1", "2"]
    assert [package.version for package in all_packages() if package.name == "tool"] == ["1", "2"]


def test_where_it_is_defined(on_path: Write) -> None:
    path = on_path("low.py", "\n\n" + MINE.format(name="low", version="1"))
    assert find("low").location == (str(path), 3)
    assert from_expression("low.inherit(version='2')").location == ("-e", 1)
    assert Path(find("hello").location[0]).name == "hello.py"


@pytest.mark.parametrize(
    ("text", "line", "why", "hint"),
    [
        ("x = (", 1, "not Python", "correct"),
        ("\nraise RuntimeError('boom')", 2, "RuntimeError: boom", "correct"),
        ("package = Package(nam='x')", 1, "TypeError", "correct"),
        ("\n\npackage = find('hello').inherit(verson='2')", 3, "no field 'verson'", "did you mean 'version'"),
        ("package = find('helo')", 1, "no package 'helo'", "did you mean 'hello'"),
        ("\npackage = find('hello')", 0, "defines 'hello', but by its name should define 'bad'", "rename"),
        ("package = Package(name='bad', version='1', inputs=('zlib',))", 1, "not a package", "find('zlib')"),
        ("package = Package(name='bad', version='1', inputs=find('zlib'))", 1, "a list of packages", ""),
        ("x = 1", 0, "defines no package", "package = Package"),
        ("package = 1", 0, "holds 1, which is not a package", "Package"),
    ],
)
def test_wrong_files_are_named_with_the_line(
    on_path: Write, text: str, line: int, why: str, hint: str
) -> None:
    path = on_path("bad.py", text + "\n")
    with pytest.raises(UsageError) as caught:
        find("bad")
    assert why in caught.value.message
    assert hint in caught.value.hint
    if line:
        assert caught.value.where == f"{path}:{line}"
    assert find("hello").version  # others can still be found


def test_circles(on_path: Write) -> None:
    one = on_path("one.py", "package = find('two').inherit(name='one')\n")
    two = on_path("two.py", "package = find('one').inherit(name='two')\n")
    with pytest.raises(UsageError, match="in a circle") as caught:
        find("one")
    assert f"{one} → {two} → {one}" in caught.value.message


def test_a_directory_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(load.PATH_VARIABLE, "/nowhere/at/all")
    assert find("hello").name == "hello"
    with pytest.raises(UsageError, match="No such file") as caught:
        known_names()
    assert caught.value.where == "/nowhere/at/all"


def test_files_and_expressions(tmp_path: Path) -> None:
    file = tmp_path / "p.py"
    file.write_text("a = find('hello')\npackages = [a, a.inherit(version='3')]\n")
    assert [package.version for package in from_file(str(file))] == ["2.12.3", "3"]
    assert from_expression("hello.inherit(version='9')").version == "9"
    assert from_expression("flit_core").name == "flit-core"
    with pytest.raises(UsageError, match="neither a word"):
        from_expression("nothing_like_it")
    with pytest.raises(UsageError, match="can't read"):
        from_file(str(tmp_path / "missing.py"))
    assert isinstance(from_expression("Package(name='x', version='1')"), Package)
    assert os.environ.get(load.PATH_VARIABLE) is None
