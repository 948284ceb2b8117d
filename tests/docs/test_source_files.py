"""Files of the source that documents name are there, and docs/contributing.md is true."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator

import pytest

from docs.documents import DOCUMENTS, ROOT, quoted, tables

CONTRIBUTING = "docs/contributing.md"
# Where a name in a document may begin.
PLACES = ("", "src/fruix/", "docs/")
_OF_SOURCE = re.compile(r"(?:[a-z_]+/)+(?:[A-Za-z_]+\.(?:py|c|sh))?|[a-z]+/[a-z_]+\.(?:md|toml)")
# Names of that form that are a user's own.
_EXAMPLES = frozenset({"home/", "notes/"})


def source_files(document: str) -> Iterator[str]:
    """All names in backquotes that look like a file or folder of the source."""
    text = (ROOT / document).read_text(encoding="utf-8")
    return (name for name in quoted(text) if _OF_SOURCE.fullmatch(name) and name not in _EXAMPLES)


def rows(heading: str) -> list[tuple[str, ...]]:
    (table,) = tables(CONTRIBUTING, heading)
    return table[1:]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_files_that_documents_name_are_there(document: str) -> None:
    missing = {
        name
        for name in source_files(document)
        if not any((ROOT / place / name).exists() for place in PLACES)
        and not list((ROOT / "src/fruix").rglob(name.rstrip("/")))
    }
    assert missing == set()


def test_layers_are_those_of_the_import_rules() -> None:
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = configuration["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    named = [name for row in rows("Layers") for name in quoted(row[0])]
    shown = [name.removeprefix("src/fruix/").removesuffix(".py").rstrip("/") for name in named]
    assert sorted(shown) == sorted(layers)


def test_a_change_touches_at_most_five_files() -> None:
    table = rows("What a change touches")
    wanted = {
        "variable",
        "operation",
        "build system",
        "restriction",
        "command",
        "package",
        "setting",
        "reason",
    }
    assert [word for word in sorted(wanted) if not any(word in row[0] for row in table)] == []
    # What is told in parentheses needs no change.
    files = {
        row[0]: [name for name in quoted(re.sub(r"\([^)]*\)", "", row[1])) if "/" in name] for row in table
    }
    too_many = {change: names for change, names in files.items() if not 1 <= len(names) <= 5}
    assert too_many == {}


def test_the_map_of_a_build_names_files_only() -> None:
    named = [quoted(row[1]) for row in rows("A build, through the files")]
    assert named
    assert all(named)
    assert [name for names in named for name in names if not (ROOT / name).is_file()] == []
