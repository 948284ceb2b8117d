"""What the documents say of packages is what the source says: fields, build systems, catalogue, pictures."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from docs.documents import ALL_TEXT, ROOT, names, only, quoted, tables
from fruix.cli.command_line import main
from fruix.cli.commands.shell import NAMES_VARIABLE
from fruix.packages.build_systems import BUILD_SYSTEMS
from fruix.packages.build_systems.recipe import StandardArguments
from fruix.packages.load import all_packages
from fruix.packages.package import Git, Local, Origin, Package
from fruix.packages.search_paths import KEPT, SEARCH_PATHS, SHELL_PATHS

PACKAGES = "docs/packages.md"


# Packages


def parameters(kind: Any) -> set[str]:
    return {item.name for item in dataclasses.fields(kind) if item.init}


def test_fields_of_packages() -> None:
    rows = next(table for table in tables(PACKAGES) if table[0] == ("field", "meaning"))
    assert set(names(rows[1:])) - {"Origin", "Local", "Git", '("out",)', "out", "*"} >= parameters(Package)
    assert set(names(rows[1:])) == parameters(Package)


def test_fields_of_sources() -> None:
    kinds: dict[str, set[str]] = {"Origin": set(), "Local": set(), "Git": set()}
    for row in only(PACKAGES, "Sources", "field"):
        for kind in kinds if row[1] == "all" else row[1].split(", "):
            kinds[kind].update(quoted(row[0]))
    assert kinds == {
        "Origin": parameters(Origin),
        "Local": parameters(Local),
        "Git": parameters(Git),
    }


def test_search_paths() -> None:
    shown = {
        row[0].strip("`"): (tuple(quoted(row[1].partition(";")[0])), row[2] == "all inputs")
        for row in only(PACKAGES, "Inputs, and how a build finds them", "variable")
    }
    assert shown == {
        row.variable: (row.directories if row.directories != ("",) else (), row.every) for row in SEARCH_PATHS
    }


def test_search_paths_of_shells() -> None:
    rows = {row[0].strip("`"): quoted(row[1]) for row in only(PACKAGES, "Using packages", "variable")}
    more = {row.variable: list(row.directories) for row in SHELL_PATHS if row not in SEARCH_PATHS}
    assert rows == {**more, NAMES_VARIABLE: []}
    (kept,) = re.findall(r"of the environment stay (.+?)\.", ALL_TEXT, re.DOTALL)
    assert re.findall(r"`(\w+)`", kept) == list(KEPT)


def _standard_phases(name: str) -> list[str]:
    arguments = {"python": {"check_command": "true"}, "trivial": {"script": ":"}}.get(name, {})
    package = Package(name="x", version="1", build_system=name, arguments=arguments, source=Local("."))
    return list(package.recipe.phases.names)


def test_build_systems() -> None:
    rows = {row[0].strip("`"): row[1:] for row in only(PACKAGES, "Build systems", "name")}
    assert set(rows) == set(BUILD_SYSTEMS)
    for name, (phases, root, view) in rows.items():
        assert root.strip("`") == (BUILD_SYSTEMS[name].root or "none"), name
        assert view.strip("`") == BUILD_SYSTEMS[name].host_view, name
        said = rows["gnu"][0] if phases.startswith("the same") else phases
        expected = [phase for phase in _standard_phases("gnu") if phase in _standard_phases(name)]
        assert quoted(said)[0].split() == (_standard_phases(name) if said == phases else expected), name


def test_arguments_of_build_systems() -> None:
    every, standard = (
        set(BUILD_SYSTEMS),
        {name for name, system in BUILD_SYSTEMS.items() if issubclass(system.arguments, StandardArguments)},
    )
    groups = {"all": every, "all of these": standard}
    shown: dict[str, set[str]] = {name: set() for name in BUILD_SYSTEMS}
    for row in only(PACKAGES, "Build systems", "argument"):
        for name in groups.get(row[1]) or row[1].split(", "):
            shown[name].update(quoted(row[0]))
    shown["trivial"].add("script")  # in the other table
    assert shown == {name: parameters(system.arguments) for name, system in BUILD_SYSTEMS.items()}


# As `scripts/catalogue` prints them: time, tests, two sizes, the second build.
CELLS = (
    r"[\dhms.]+",
    r"none|passed, no counts|\d+ pass(, \d+ \w+)*",
    r"[\d.]+ ([KMG]i)?B",
    r"[\d.]+ ([KMG]i)?B",
    r"same bits|not tried",
)


def test_the_catalogue() -> None:
    packages = {
        package.full_name: package for package in all_packages(lambda broken: pytest.fail(str(broken)))
    }
    rows = only("docs/catalogue.md", "The catalogue", "package")
    assert [row[0] for row in rows] == sorted(packages)
    for name, *cells in rows:
        assert len(cells) == len(CELLS), name
        assert [
            cell for cell, form in zip(cells, CELLS, strict=True) if not re.fullmatch(form, cell)
        ] == [], name
        assert (cells[1] == "none") == ("*" in packages[name].untested), name
    text = (ROOT / "docs/catalogue.md").read_text(encoding="utf-8")
    said = set(re.findall(r"^\* (.*)$", text, re.MULTILINE))
    expected = {
        f"{package.name}: {why}" if what == "*" else f"{package.name}: {what}: {why}"
        for package in packages.values()
        for what, why in package.untested.items()
    }
    assert said == expected


# Pictures


@pytest.mark.parametrize(("picture", "words"), [("bc", ["bc"]), ("catalogue", [])])
def test_pictures_are_what_is_drawn(
    picture: str, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FRUIX_PACKAGE_PATH", raising=False)
    drawn = tmp_path / "drawn.svg"
    assert main(["graph", "-o", str(drawn), *words]) == 0
    assert drawn.read_text() == (ROOT / f"docs/images/{picture}.svg").read_text()
