"""What is wrong with a definition is said when it is made.

Where, of which package, what it should be, what it is, what to do.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from fruix.errors import DefinitionError
from fruix.packages.build_systems import BUILD_SYSTEMS
from fruix.packages.package import Origin, Package
from fruix.packages.phases import Phases
from fruix.packages.wording import shown
from packages.test_definitions import SHA, FakeStore, lowering
from packages.wrong_definitions import FIELDS, NEEDED, SOURCE, error_of


def twenty_deep() -> Package:
    package = Package(**FIELDS, source=SOURCE)
    for number in range(20):
        package = package.inherit(name=f"x{number}", inputs=[package, package, package])
    return package


@pytest.mark.parametrize(
    ("changes", "message", "hint"),
    [
        ({"name": None}, "field 'name' should be a text, not None", ""),
        ({"name": ""}, "field 'name' should be a name of 1 to 211 letters", ""),
        ({"name": "a b"}, "not 'a b'", ""),
        ({"name": ".x"}, "not '.x'", ""),
        ({"name": "x.drv"}, "nor ending in .drv, not 'x.drv'", ""),
        ({"name": "x\0y"}, "field 'name' should be a text without NUL", ""),
        ({"name": "x" * 209}, "short enough for the store", ""),
        ({"version": 1.10}, "field 'version' should be a text, not 1.1", '"1.10" is not 1.1'),
        ({"version": 2}, "field 'version' should be a text, not 2", "in quotes"),
        ({"version": "1/2"}, "field 'version' should be a version", ""),
        ({"version": "1.drv"}, "field 'version' should be a version", ""),
        ({"build_system": None}, "field 'build_system' should be a text, not None", ""),
        ({"build_system": "gun"}, "the name of a build system, not 'gun'", "did you mean 'gnu'?"),
        ({"source": "./src"},
         "field 'source' should be an Origin or a Local or a Git or None, not './src'", "source=Origin("),
        ({"source": "https://x"},
         "field 'source' should be an Origin or a Local or a Git or None", "source=Origin("),
        ({"source": None},
         "field 'source' should be an Origin, a Local or a Git, since the phase unpack", ""),
        ({"arguments": ["a"]}, "field 'arguments' should be a dictionary, not ['a']", '{"name": "value"}'),
        ({"arguments": {1: "a"}}, "a name in field 'arguments' should be a text, not 1", ""),
        ({"inputs": "zlib"}, "field 'inputs' should be a list of Packages", "brackets"),
        ({"inputs": ["zlib"]}, "item 1 of field 'inputs' should be a Package, not 'zlib'", "find('zlib')"),
        ({"native_inputs": [None]}, "item 1 of field 'native_inputs' should be a Package, not None", ""),
        ({"propagated_inputs": {}}, "field 'propagated_inputs' should be a list of Packages, not {}", ""),
        ({"outputs": "out"}, "field 'outputs' should be a list of names of variables, not 'out'", "['out']"),
        ({"outputs": ()}, "a list of names with 'out' among them, not ()", 'called "out"'),
        ({"outputs": ("bin", "lib")}, "with 'out' among them, not ('bin', 'lib')", 'called "out"'),
        ({"outputs": ("out", "out")}, "a list of different names, not ('out', 'out')", ""),
        ({"outputs": ("out", "")}, "item 2 of field 'outputs' should be the name of a variable", ""),
        ({"outputs": ("out", "a-b")}, "item 2 of field 'outputs' should be the name of a variable", ""),
        ({"outputs": ("out", 2)}, "item 2 of field 'outputs' should be a text, not 2", ""),
        ({"synopsis": 5}, "field 'synopsis' should be a text, not 5", ""),
        ({"description": ["a"]}, "field 'description' should be a text, not ['a']", ""),
        ({"description": "a\0"}, "a text without NUL", ""),
        ({"license": "\udc80"}, "without NUL and half surrogate pairs", ""),
        ({"home_page": b"x"}, "field 'home_page' should be a text, not b'x'", ""),
        ({"host_view": True}, "field 'host_view' should be a text, not True", ""),
        ({"untested": "all"}, "field 'untested' should be a dictionary of texts, not 'all'", "such as"),
        ({"untested": {"*": ""}}, "'*' in field 'untested' should be a text that says something", ""),
        ({"untested": {"*": None}}, "'*' in field 'untested' should be a text, not None", ""),
        ({"unreproducible": True}, "field 'unreproducible' should be a text, not True", ""),
        ({"declares": {"allowedReference": ""}}, "should be the name of an attribute", "allowedReferences"),
        ({"declares": {"preferLocalBuild": True}}, "not True", 'write "1" or ""'),
        ({"declares": {"allowedReferences": ["a b"]}}, "not ['a b']", "not one word"),
        ({"nam": "x"}, "Package has no field 'nam'", "did you mean 'name'?"),
        ({"location": ("x", 1)}, "Package has no field 'location'", ""),
    ],
)  # fmt: skip
def test_fields(changes: dict[str, Any], message: str, hint: str) -> None:
    error = error_of(**changes)
    assert message in error.message
    assert hint in error.hint
    if "name" not in changes:
        assert str(error).startswith(f"{error.place}: x: ")


@pytest.mark.parametrize(
    ("system", "arguments", "message", "hint"),
    [
        ("gnu", {"configure_flags": (1,)},
         "item 1 of argument 'configure_flags' should be a text, not 1", ""),
        ("gnu", {"configure_flags": "--a"},
         "argument 'configure_flags' should be a list of texts", "['--a']"),
        ("gnu", {"configure_flag": ()},
         "build system gnu has no argument 'configure_flag'", "'configure_flags'"),
        ("gnu", {"make_flags": [["a"]]}, "item 1 of argument 'make_flags' should be a text, not ['a']", ""),
        ("gnu", {"check_target": None}, "argument 'check_target' should be a text, not None", ""),
        ("gnu", {"tests": "no"}, "argument 'tests' should be True or False, not 'no'", "without quotes"),
        ("gnu", {"tests": 1}, "argument 'tests' should be True or False, not 1", ""),
        ("gnu", {"parallel": None}, "argument 'parallel' should be True or False, not None", ""),
        ("gnu", {"count_tests": ("a",)}, "argument 'count_tests' should be two patterns", ""),
        ("gnu", {"phases": "check"}, "argument 'phases' should be a function, not 'check'", ""),
        ("gnu", {"phases": lambda _: None}, "should be a function that returns Phases, not None", "return"),
        ("gnu", {"phases": lambda p: p.names}, "a function that returns Phases, not ('set-up-linker'", ""),
        ("gnu", {"phases": lambda p: p.remove("biuld")},
         "argument 'phases': there is no phase 'biuld'", "'build'"),
        ("gnu", {"phases": lambda p: p.replace("build", 1)},
         "the script of phase 'build' should be a text", ""),
        ("gnu", {"phases": lambda p: p.replace("build", "\0")}, "should be a text without NUL", ""),
        ("gnu", {"phases": lambda p: p.insert_before("build", "A b", "")},
         "the name of a phase: lower-case", ""),
        ("gnu", {"phases": lambda p: p.foo}, "AttributeError", ""),
        ("gnu", {"phases": lambda: None}, "TypeError", ""),
        ("gnu", {"environment": ["A=1"]}, "argument 'environment' should be a dictionary", ""),
        ("gnu", {"environment": {"A-B": ""}},
         "a name in argument 'environment' should be the name of a variable", ""),
        ("gnu", {"environment": {"A": None}}, "'A' in argument 'environment' should be a text", ""),
        ("gnu", {"environment": {"A": False}}, "not False", 'write "1" or ""'),
        ("gnu", {"environment": {"A": 1.5}}, "not 1.5", ""),
        ("gnu", {"environment": {"A": ["-D x"]}}, "not ['-D x']", "'-D x' is not one word"),
        ("gnu", {"environment": {"A": "\0"}}, "a text without NUL", ""),
        ("gnu", {"environment": {"preferLocalBuild": "1"}}, "is an attribute of derivations", "declares="),
        ("cmake", {"make_flags": ()}, "build system cmake has no argument 'make_flags'", ""),
        ("cmake", {"check_flags": ("a", None)}, "item 2 of argument 'check_flags' should be a text", ""),
        ("cmake", {"build_type": 1}, "argument 'build_type' should be a text, not 1", ""),
        ("meson", {"source_directory": ()}, "argument 'source_directory' should be a text, not ()", ""),
        ("python", {}, "argument 'check_command' should be the command that runs the tests", "tests=False"),
        ("python", {"check_command": ["x"]}, "argument 'check_command' should be a text", ""),
        ("copy", {"install": "a"}, "argument 'install' should be a list of pairs of paths, not 'a'", ""),
        ("copy", {"install": [("a",)]}, "item 1 of argument 'install' should be a pair of paths", ""),
        ("copy", {"install": [("/a", "b")]},
         "item 1 of item 1 of argument 'install' should be a path inside", ""),
        ("copy", {"install": [("a", "../b")]}, "item 2 of item 1 of argument 'install'", ""),
        ("copy", {"tests": False}, "build system copy has no argument 'tests'", ""),
        ("trivial", {}, "argument 'script' should be the commands that make $out", ""),
        ("trivial", {"script": 1}, "argument 'script' should be a text, not 1", ""),
    ],
)  # fmt: skip
def test_arguments(system: str, arguments: dict[str, Any], message: str, hint: str) -> None:
    error = error_of(build_system=system, arguments=arguments)
    assert message in error.message
    assert hint in error.hint
    assert str(error).startswith(f"{error.place}: x: ")


@pytest.mark.parametrize(
    ("changes", "message", "hint"),
    [
        ({"urls": ()}, "field 'urls' should be a list of at least one URL, not ()", ""),
        ({"urls": "https://a/b"}, "field 'urls' should be a list of URLs", "['https://a/b']"),
        ({"urls": ("a.tar",)}, "item 1 of field 'urls' should be a URL such as https://…, not 'a.tar'", ""),
        ({"urls": ("https://",)}, "item 1 of field 'urls' should be a URL", ""),
        ({"urls": ("https://a/b c",)}, "item 1 of field 'urls' should be a URL", ""),
        ({"urls": ("https://a/b\n",)}, "item 1 of field 'urls' should be a URL", ""),
        ({"urls": ("https://a/b\0",)}, "a text without NUL", ""),
        ({"urls": ("https://a/b/",)},
         "field 'file_name' should be a name for the store, not ''", "nothing can be left of ''"),
        ({"urls": ("https://a/%20~%7e",)},
         "field 'file_name' should be a name for the store, not ''", "nothing can be left of ' ~~'"),
        ({"fuzz": 10}, "field 'fuzz' should be a number of lines from 0 to 9, not 10", ""),
        ({"fuzz": True}, "field 'fuzz' should be", ""),
        ({"urls": ("https://a/b.drv",)}, "field 'file_name' should be a name for the store", "b.drv"),
        ({"file_name": "a b"}, "field 'file_name' should be a name for the store, not 'a b'", ""),
        ({"file_name": None}, "field 'file_name' should be a text, not None", ""),
        ({"sha256": "short"}, "field 'sha256' should be a SHA-256, not 'short'", "64 zeros"),
        ({"sha256": None}, "field 'sha256' should be a text, not None", ""),
        ({"patches": "fix.patch"}, "field 'patches' should be a list of names of files", "['fix.patch']"),
        ({"patches": ["fix.patch"]},
         "item 1 of field 'patches' should be a file, not 'fix.patch'", "/fix.patch"),
        ({"patches": [1]}, "item 1 of field 'patches' should be a text, not 1", ""),
        ({"patches": [""]}, "item 1 of field 'patches' should be the name of a file, not ''", ""),
        ({"patches": ["."]}, "item 1 of field 'patches' should be a file, not '.'", ""),
        ({"url": "x"}, "Origin has no field 'url'", "did you mean 'urls'?"),
    ],
)  # fmt: skip
def test_origins(changes: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        Origin(**{"urls": SOURCE.urls, "sha256": SHA, **changes})
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert re.match(rf"{re.escape(__file__)}:\d+: Origin: ", str(caught.value))


def test_a_source_is_needed_where_it_is_unpacked() -> None:
    for system in BUILD_SYSTEMS:
        arguments = NEEDED.get(system, {})
        if system != "trivial":
            assert (
                "field 'source' should be"
                in error_of(source=None, build_system=system, arguments=arguments).message
            )
    Package(
        **FIELDS, arguments={"phases": lambda phases: phases.replace("unpack", "mkdir source; cd source")}
    )


def test_missing_fields() -> None:
    with pytest.raises(DefinitionError, match="missing a required argument: 'version'"):
        Package(name="x")  # type: ignore[call-arg]
    values: list[Any] = [None] * 40
    with pytest.raises(DefinitionError, match="too many positional"):
        Package(*values)


# Values in messages


def test_a_deep_graph_is_shown_short_and_soon() -> None:
    """Written out, three inputs at each of twenty levels would be 3**20 packages."""
    package = twenty_deep()
    error = error_of(name=[package, [package]], synopsis="x")
    assert "field 'name' should be a text, not [<Package x19-1.0>, [<Package x19-1.0>]]" in error.message
    assert repr(package) == "<Package x19-1.0>"


def test_shown_values_are_one_short_line() -> None:
    for value in (
        "x" * 10**6,
        ["x" * 10**5] * 10**5,
        dict.fromkeys(range(10**5), "a\nb"),
        b"\n" * 10**5,
        10**4000,
    ):
        text = shown(value)
        assert len(text) <= 80
        assert text.isprintable()
    assert shown(twenty_deep) == "the function 'twenty_deep'"
    recursive: list[Any] = []
    recursive.append(recursive)
    assert len(shown(recursive)) <= 80


def test_a_function_for_phases_is_asked_once() -> None:
    asked: list[Phases] = []

    def phases(standard: Phases) -> Phases:
        asked.append(standard)
        return standard

    package = Package(**FIELDS, source=SOURCE, arguments={"phases": phases})
    lowering(FakeStore()).lowered(package)
    assert len(asked) == 1
