"""Packages by name: the catalogue, the package path, files and expressions, and wrong ones."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fruix.errors import DefinitionError, UsageError
from fruix.packages import load
from fruix.packages.catalogue import shipped, shipped_names
from fruix.packages.load import Broken, all_packages, find, from_expression, from_file, known_names
from fruix.packages.modules import Modules
from fruix.packages.package import Package

MINE = (
    "package = Package(name={name!r}, version={version!r}, "
    "build_system='trivial', arguments={{'script': 'true'}})\n"
)
Write = Callable[..., Path]


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes a file into a directory of the package path."""
    monkeypatch.setattr(load, "_MODULES", Modules(load._WORDS))
    monkeypatch.setenv(load.PATH_VARIABLE, f"{tmp_path}/one:{tmp_path}/two")
    for name in ("one", "two"):
        (tmp_path / name).mkdir()

    def write(
        file: str, text: str = "", *, directory: str = "one", name: str = "", version: str = "1"
    ) -> Path:
        path = tmp_path / directory / file
        path.write_text(text or MINE.format(name=name or path.stem, version=version))
        return path

    return write


def unbroken(broken: Broken) -> None:
    raise AssertionError(broken)


def test_what_the_catalogue_has() -> None:
    assert find("hello") is shipped("hello")
    assert find("flit-core").name == "flit-core"
    assert len(shipped_names()) >= 15
    assert {package.name for package in all_packages(unbroken)} >= set(shipped_names())


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
    assert {"low", "top-most"} <= {package.name for package in all_packages(unbroken)}


def test_several_versions(on_path: Write) -> None:
    on_path(
        "tool.py",
        MINE.format(name="tool", version="1") + "packages = [package, package.inherit(version='2')]\n",
    )
    assert [find(word).version for word in ("tool", "tool@1", "tool@2")] == ["1", "1", "2"]
    assert [package.version for package in all_packages(unbroken) if package.name == "tool"] == ["1", "2"]


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
        ("package = Package(nam='x')", 1, "no field 'nam'", "did you mean 'name'"),
        ("\n\npackage = find('hello').inherit(verson='2')", 3, "no field 'verson'", "did you mean 'version'"),
        ("package = find('helo')", 1, "no package 'helo'", "did you mean 'hello'"),
        ("\npackage = find('hello')", 0, "defines 'hello', but by its name should define 'bad'", "rename"),
        (
            "package = Package(name='bad', version='1', inputs=('zlib',))",
            1,
            "a Package, not 'zlib'",
            "find('zlib')",
        ),
        ("package = Package(name='bad', version='1', inputs=find('zlib'))", 1, "a list of Packages", ""),
        ("x = 1", 0, "defines no package", "package = Package"),
        ("package = 1", 0, "holds 1, which is not a Package", "Package"),
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
        assert caught.value.where.startswith(f"{path}:{line}")
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
    assert known_names() >= shipped_names()
    with pytest.raises(UsageError, match="no package 'helo'") as caught:
        find("helo")
    assert "'hello'?; /nowhere/at/all: can't read a directory of FRUIX_PACKAGE_PATH" in caught.value.hint
    broken: list[Broken] = []
    assert len(all_packages(broken.append)) == len(shipped_names())
    assert [item.error.where for item in broken] == ["/nowhere/at/all"]
    assert "No such file" in broken[0].error.message


def test_a_broken_file_breaks_nothing_but_itself(on_path: Write) -> None:
    """It is told once, with what is missing because of it; a file for others to import is none."""
    bad = on_path("bad.py", "package = (\n")
    on_path("needs_bad.py", "package = find('bad').inherit(name='needs-bad')\n")
    on_path("also-bad.py", "package = find('bad').inherit(name='also-bad')\n")
    on_path("other.py", "raise RuntimeError('boom')\n")
    on_path("helpers.py", "FLAGS = ()\n")
    on_path("good.py")
    broken: list[Broken] = []
    names = {package.name for package in all_packages(broken.append)}
    assert names == {*shipped_names(), "good"}
    assert [(item.error.where.rpartition("/")[2], item.names) for item in broken] == [
        ("bad.py:1", ("also-bad", "bad", "needs-bad")),
        ("other.py:1", ("other",)),
    ]
    assert str(bad) in broken[0].error.where
    assert "not Python" in broken[0].error.message
    assert find("good").name == "good"


def test_files_are_modules_like_any_other(on_path: Write) -> None:
    on_path(
        "tool.py",
        """\ufefffrom __future__ import annotations
from dataclasses import dataclass
from flags import FLAGS, trivial
import zlib
zlib.crc32(b"the standard library's, although a package of that name is here")
@dataclass
class Version:
    major: int
    minor: int = 0
    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"
package = trivial("tool", str(Version(2)), {"script": " ".join(FLAGS)})
""",
    )
    on_path(
        "flags.py",
        "FLAGS = ('true',)\ndef trivial(name, version, arguments):\n"
        "    return Package(name=name, version=version, build_system='trivial', arguments=arguments)\n",
    )
    on_path("zlib.py", version="9")
    tool = find("tool")
    assert (tool.version, tool.arguments["script"]) == ("2.0", "true")
    assert Path(tool.location.file).name == "flags.py"
    assert "flags" not in sys.modules
    assert not list(Path(tool.location.file).parent.glob("__pycache__"))


def test_neighbours_are_those_of_the_file_itself(on_path: Write) -> None:
    """Files of the same name in two directories, one needing the other's package."""
    for directory, version in (("one", "1"), ("two", "2")):
        on_path("common.py", f"VERSION = '{version}'\n", directory=directory)
    on_path(
        "upper.py", "package = find('lower').inherit(name='upper', version=__import__('common').VERSION)\n"
    )
    on_path(
        "lower.py",
        "import common\n" + MINE.format(name="lower", version="x").replace("'x'", "common.VERSION"),
        directory="two",
    )
    assert (find("upper").version, find("lower").version) == ("1", "2")


def test_a_package_is_the_same_however_it_is_asked_for(on_path: Write) -> None:
    path = on_path("low.py")
    on_path(
        "top.py",
        "import low\npackage = low.package.inherit(name='top', inputs=[find('low')])\n"
        "assert low.package is find('low')\n",
    )
    assert find("top").inputs[0] is find("low")
    assert from_file(str(path))[0] is find("low")


def test_two_hundred_files_in_a_row(on_path: Write) -> None:
    limit = sys.getrecursionlimit()
    on_path("p0.py")
    for number in range(1, 201):
        on_path(
            f"p{number}.py",
            f"package = find('p{number - 1}').inherit(name='p{number}', inputs=[find('p{number - 1}')])\n",
        )
    assert find("p200").inputs[0].name == "p199"
    assert sys.getrecursionlimit() == limit


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("import sys\nsys.exit(3)", 2, "ends the program"),
        ("exit()", 1, "ends the program|NameError"),
        ("def deeper(n):\n    return deeper(n + 1)\ndeeper(0)", 2, "RecursionError"),
        ("import missing_neighbour", 1, "ModuleNotFoundError: No module named 'missing_neighbour'"),
        ("x = '\udcff'", 1, "not Python"),
        ("x = '\0'", 0, "null bytes"),
        ("raise ValueError('x' * 10**6)", 1, "ValueError: xxx.*…$"),
        ("raise ValueError('a\\nb')", 1, "ValueError: a b$"),
        ("open('/nowhere')", 1, "FileNotFoundError"),
    ],
)
def test_files_that_end_in_other_ways(tmp_path: Path, text: str, line: int, why: str) -> None:
    path = tmp_path / "p.py"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(DefinitionError, match=why) as caught:
        from_file(str(path))
    assert caught.value.where.startswith(f"{path}:{line}" if line else str(path))
    assert len(caught.value.message) < 400


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
    text = "Package(name='x', version='1', build_system='trivial', arguments={'script': 'true'})"
    assert isinstance(from_expression(text), Package)
    assert os.environ.get(load.PATH_VARIABLE) is None
