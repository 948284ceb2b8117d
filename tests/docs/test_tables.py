"""The tables of the documents say what the tables of the source say."""

from __future__ import annotations

import argparse
import dataclasses
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from docs.documents import DOCUMENTS, ROOT, quoted, tables
from fruix.building.settings import BuildSettings
from fruix.cli.command_line import main
from fruix.cli.commands.shell import NAMES_VARIABLE
from fruix.cli.parser import configured_parsers
from fruix.daemon import settings
from fruix.hostview import definition
from fruix.model import attributes, hostview, structured
from fruix.model.events import KINDS
from fruix.model.reason_rows import ROWS as REASONS
from fruix.packages.build_systems import BUILD_SYSTEMS
from fruix.packages.build_systems.recipe import StandardArguments
from fruix.packages.load import all_packages
from fruix.packages.package import Git, Local, Origin, Package
from fruix.packages.search_paths import KEPT, SEARCH_PATHS, SHELL_PATHS
from fruix.sandbox.contracts import CONTRACTS
from row import Row
from rows import ROWS

CONFIGURATION, PACKAGES, EVENTS = "docs/configuration.md", "docs/packages.md", "docs/events.md"
ALL_TEXT = "".join((ROOT / document).read_text(encoding="utf-8") for document in DOCUMENTS)
SAMPLE = (ROOT / "etc/fruix.toml").read_text(encoding="utf-8")


def only(document: str, heading: str, *head: str) -> list[tuple[str, ...]]:
    """The rows, without the head, of the table below a heading that has such a head."""
    found = [rows[1:] for rows in tables(document, heading) if not head or rows[0][: len(head)] == head]
    assert len(found) == 1, f"{document}, '{heading}': {len(found)} tables {head}"
    return found[0]


def names(rows: Iterable[tuple[str, ...]], column: int = 0) -> list[str]:
    return [name for row in rows for name in quoted(row[column])]


# Settings

_UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_WORDS: Mapping[str, Any] = {
    "a day": 86400,
    "an hour": 3600,
    "0 (none)": 0,
    "none": (),
    "`false`": False,
    "`true`": True,
    "`large`": "large",
    "`bzip2`": "bzip2",
    "`/frx/etc/acl`": "/frx/etc/acl",
    "`/frx/etc/signing-key.sec`": "/frx/etc/signing-key.sec",
    "as many as processors": os.cpu_count(),
    "a quarter of the machine's memory, from 512 MiB to 2 GiB": settings.Settings().max_client_memory,
    "half of `max-client-memory`": settings.Settings().max_client_memory // 2,
}


def value_of(text: str) -> Any:
    number, _, unit = text.partition(" ")
    return _WORDS[text] if text in _WORDS else int(number) * _UNITS.get(unit, 1)


def setting(key: str) -> Any:
    """The default."""
    name = settings._KEYS[key][0]
    if name.startswith("building."):
        return getattr(BuildSettings(), name.removeprefix("building."))
    uids = BuildSettings().uids
    return {"first_build_uid": uids[0], "build_uid_count": len(uids)}.get(name) or getattr(
        settings.Settings(), name
    )


def _defaults() -> Iterable[tuple[str, str]]:
    for rows in tables(CONFIGURATION):
        if rows[0][:2] == ("key", "default"):
            for keys, said, *_ in rows[1:]:
                values = [said] if said in _WORDS else said.split(", ")
                for number, key in enumerate(quoted(keys)):
                    yield key, values[min(number, len(values) - 1)]


@pytest.mark.parametrize(
    ("key", "said"),
    [
        row
        for row in _defaults()
        if row[0] not in {"system-features", "pre-build-hook", "post-build-hook", "source-archive"}
    ],
)
def test_defaults_of_settings(key: str, said: str) -> None:
    assert value_of(said) == setting(key)


def test_every_setting_is_described() -> None:
    assert [
        key for key in settings._KEYS if f"`{key}`" not in ALL_TEXT and f"`{key} = " not in ALL_TEXT
    ] == []


# What depends on the machine, or would have no default to show.
_SAMPLES = frozenset(
    [
        "max-jobs",
        "cores",
        "max-client-memory",
        "max-client-memory-per-user",
        "sources",
        "substitute-helper",
        "system-features",
        "extra-platforms",
        "mirrors",
        "views",
        "impure-env",
        "pre-build-hook",
        "post-build-hook",
        "source-archive",
    ]
)


def test_the_sample_configuration_has_every_setting_with_its_default() -> None:
    text = re.sub(r"^#(?=[a-z\[][a-z.-]*( = |\]$))", "", SAMPLE, flags=re.MULTILINE)
    assert {key.partition(".")[0] for key in re.findall(r"^\[?([a-z][a-z-]*)", text, re.MULTILINE)} >= {
        *settings._KEYS
    }
    read = settings.parse(text, "etc/fruix.toml")
    for key, (name, _) in settings._KEYS.items():
        part = name.removeprefix("building.")
        value = read.building[part] if part != name else getattr(read, part)
        assert key in _SAMPLES or value == setting(key), key


def test_keys_of_views() -> None:
    rows = only(CONFIGURATION, "Host views", "key")
    assert set(names(rows)) == set(definition._KEYS)


# Variables of the environment

_READ = re.compile(r'"((?:FRUIX|NIX|GUIX)_[A-Z_]+|METADATA_OUT|NO_COLOR)"')
# What builders and helpers get, and what only the double of FreeBSD knows.
_NOT_FOR_PEOPLE = frozenset(
    {
        "GUIX_CONFIGURATION_DIRECTORY",
        "NIX_BUILD_CORES",
        "NIX_BUILD_TOP",
        "NIX_LOG_FD",
        "NIX_OUTPUT_CHECKED",
        "NIX_STORE",
    }
)


def test_variables_of_the_environment() -> None:
    source = [
        path.read_text(encoding="utf-8")
        for path in (ROOT / "src/fruix").rglob("*.py")
        if "testing" not in path.parts
    ]
    read = {name for text in source for name in _READ.findall(text)}
    described = {
        name.partition("=")[0] for name in names(only(CONFIGURATION, "Environment variables", "variable"))
    }
    assert described <= read
    assert [name for name in read - _NOT_FOR_PEOPLE - described if f"`{name}" not in ALL_TEXT] == []


# Commands

_COMMAND = re.compile(r"`fruix ([^`]*)`")


def test_commands_and_options_in_the_text_are_there() -> None:
    _, commands = configured_parsers()
    for text in _COMMAND.findall(ALL_TEXT):
        name, *rest = re.split(r"[\s|]+", text)
        if name.startswith("-") or name.isupper() or name == "…":
            continue
        assert name in commands, f"fruix {text}"
        parsers = [commands[name]]
        for action in commands[name]._actions:
            if action.nargs == argparse.PARSER:
                parsers += dict(action.choices or {}).values()
        known = {option for parser in parsers for option in parser._option_string_actions}
        own = rest[: rest.index("--")] if "--" in rest else rest
        for word in own:
            option = word.strip("[]").partition("=")[0]
            assert not re.match(r"--?[a-z]", option) or option in known, f"fruix {text}: {option}"


def test_the_options_of_a_build() -> None:
    _, commands = configured_parsers()
    rows = only("docs/how-a-build-runs.md", "Asked for in other ways")
    options = [text.split()[0] for text in names(rows)]
    assert options
    assert set(options) <= set(commands["build"]._option_string_actions)


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


# Performance


def figure(cell: str) -> float:
    return float(cell.replace(",", ""))


def test_the_rows_of_the_benchmarks() -> None:
    (head, *found), (alone, *own) = tables("docs/performance.md", "Figures")
    (same_head, *of_stores) = tables("docs/performance.md", "Stores")[0]
    assert [row[:2] for row in (*found, *of_stores)] == [(row.title, row.unit) for row in ROWS]
    assert same_head == head
    assert head == ("what", "unit", "fruix", "nix-2.34", "nix-2.8", "guix-1.5", "against the best")
    assert alone == ("Fruix alone", "median")
    source = (ROOT / "benchmarks/run").read_text(encoding="utf-8")
    assert [title for title, _ in own] == re.findall(r'^ +"([^"]+, G?B?/?s)":', source, re.MULTILINE)
    assert all(figure(value) > 0 for _, value in own)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row.key))
def test_ratios_are_those_of_the_figures(row: Row) -> None:
    rows = [*tables("docs/performance.md", "Figures")[0], *tables("docs/performance.md", "Stores")[0]]
    cells = next(cells for cells in rows if cells[0] == row.title)
    fruix, *peers = map(figure, filter(None, cells[2:-1]))
    ratio = fruix / max(peers) if row.rate else min(peers) / fruix
    assert figure(cells[-1]) == pytest.approx(ratio, rel=0.01, abs=0.006)  # the figures are rounded


# Events


def test_events() -> None:
    rows = {row[0].strip("`"): quoted(row[1]) for row in only(EVENTS, "The promise", "event")}
    assert next(iter(rows)) == "plan"
    assert list(rows)[-1] == "result"
    assert {name: set(fields) for name, fields in rows.items() if name in KINDS} == {
        name: {item.name for item in dataclasses.fields(kind)} for name, kind in KINDS.items()
    }
    assert set(rows) - set(KINDS) == {"plan", "begun-anew", "result"}


def test_reasons() -> None:
    shown = {
        kind: set(re.findall(r"`([^`]+)`", re.sub(r"\([^)]*\)", "", fields)))
        for kinds, fields in only(EVENTS, "The promise", "kind")
        for kind in quoted(kinds)
    }
    said = {
        kind: set(re.findall(r"\{([a-z]+)\}", row.text + row.guix)) - {"drv"} for kind, row in REASONS.items()
    }
    assert set(shown) == set(said)
    for kind, fields in said.items():
        assert fields <= shown[kind], kind


# Contracts


def test_contracts() -> None:
    ids, directories = only("docs/isolation.md", "Contracts", "", "`fruix`", "`nix`", "`guix`")[:2]
    for number, name in enumerate(("fruix", "nix", "guix"), 1):
        inside = CONTRACTS[name].inside
        assert inside is not None
        assert ids[number] == f"{inside[0]}:{inside[1]}"
        assert directories[number] == f"`{CONTRACTS[name].directory.format(name='NAME.drv')}`"


# Pictures


@pytest.mark.parametrize(("picture", "words"), [("bc", ["bc"]), ("catalogue", [])])
def test_pictures_are_what_is_drawn(
    picture: str, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FRUIX_PACKAGE_PATH", raising=False)
    drawn = tmp_path / "drawn.svg"
    assert main(["graph", "-o", str(drawn), *words]) == 0
    assert drawn.read_text() == (ROOT / f"docs/images/{picture}.svg").read_text()


# Derivations


def test_attributes_of_derivations() -> None:
    rows = only("docs/derivations.md", "What a derivation can declare", "attribute")
    described = {name.partition(".")[0] for name in names(rows)}
    assert {*attributes.NAMES, structured.VARIABLE, hostview.CONTRACT_VARIABLE} - described == set()
