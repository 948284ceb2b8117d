"""The tables of the documents say what the tables of the source say."""

from __future__ import annotations

import argparse
import dataclasses
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from docs.documents import ALL_TEXT, ROOT, names, only, quoted, tables
from fruix.building.settings import BuildSettings
from fruix.cli.parser import configured_parsers
from fruix.daemon import settings
from fruix.hostview import definition
from fruix.model import attributes, hostview, structured
from fruix.model.events import KINDS
from fruix.model.reason_rows import ROWS as REASONS
from fruix.sandbox.contracts import CONTRACTS
from peers import BARE
from row import Row
from rows import ROWS

CONFIGURATION, PACKAGES, EVENTS = "docs/configuration.md", "docs/packages.md", "docs/events.md"
SAMPLE = (ROOT / "etc/fruix.toml").read_text(encoding="utf-8")


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

_READ = re.compile(r'"((?:FRUIX|NIX|GUIX)_[A-Z_]+|METADATA_OUT|NO_COLOR|XDG_CACHE_HOME)"')
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


# Performance


def figure(cell: str) -> float:
    return float(cell.replace(",", ""))


PERFORMANCE = "docs/performance.md"
_DAEMONS = ("fruix", "nix-2.34", "nix-2.8", "guix-1.5")
_AGAINST, _GROWTH = "against the best", "growth"


def measured() -> list[dict[str, str]]:
    """The rows of all tables of `benchmarks/run`, by the names of their columns."""
    found = [rows for rows in tables(PERFORMANCE) if rows[0][:2] == ("what", "unit")]
    assert len(found) >= 2
    return [dict(zip(head, cells, strict=True)) for head, *more in found for cells in more]


def test_the_rows_of_the_benchmarks() -> None:
    """Rows that were not measured in the shown runs are not in the tables."""
    known = {(row.title, row.unit) for row in ROWS}
    shown = [(cells["what"], cells["unit"]) for cells in measured()]
    assert set(shown) <= known
    assert len(set(shown)) == len(shown)
    assert all(set(cells) <= {"what", "unit", *_DAEMONS, BARE, _AGAINST, _GROWTH} for cells in measured())
    ((alone, *own),) = [rows for rows in tables(PERFORMANCE) if rows[0][0] == "Fruix alone"]
    assert alone == ("Fruix alone", "median")
    source = (ROOT / "benchmarks/run").read_text(encoding="utf-8")
    titles = re.findall(r'^ +"([^"]+, (?:GB/s|s|MiB))":', source, re.MULTILINE)
    assert {title for title, _ in own} <= set(titles)
    assert all(figure(value) > 0 for _, value in own)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row.key))
def test_ratios_are_those_of_the_figures(row: Row) -> None:
    for cells in measured():
        peers = [figure(cells[name]) for name in _DAEMONS[1:] if cells.get(name)]
        if cells["what"] == row.title and peers:
            fruix = figure(cells["fruix"])
            ratio = fruix / max(peers) if row.rate else min(peers) / fruix
            assert figure(cells[_AGAINST]) == pytest.approx(ratio, rel=0.01, abs=0.006)  # figures are rounded


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


# Derivations


def test_attributes_of_derivations() -> None:
    rows = only("docs/derivations.md", "What a derivation can declare", "attribute")
    described = {name.partition(".")[0] for name in names(rows)}
    assert {*attributes.NAMES, structured.VARIABLE, hostview.CONTRACT_VARIABLE} - described == set()
