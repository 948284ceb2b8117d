"""Files and functions stay short enough to be read at once."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import fruix

ROOT = Path(fruix.__file__).parent
# Lines of a file.
MOST = 300
# Lines of a function, with its docstring.
LONGEST = 40


def test_files_stay_readable() -> None:
    too_long = {
        str(path.relative_to(ROOT)): lines
        for path in sorted(ROOT.rglob("*.py"))
        if (lines := path.read_text().count("\n")) > MOST
    }
    assert not too_long


def test_functions_stay_readable() -> None:
    too_long = {
        f"{path.relative_to(ROOT)}:{node.name}": lines
        for path in sorted(ROOT.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > LONGEST
    }
    assert not too_long


def test_style_and_types_of_programs_without_a_suffix_are_checked_too() -> None:
    project = ROOT.parents[1]
    programs = [
        str(path.relative_to(project))
        for folder in ("scripts", "benchmarks")
        for path in sorted((project / folder).iterdir())
        if path.is_file() and path.suffix == "" and path.read_text().startswith("#!/usr/bin/env python3\n")
    ]
    tools = tomllib.loads((project / "pyproject.toml").read_text())["tool"]
    assert sorted(programs) == sorted(tools["ruff"]["extend-include"])
    assert not set(programs) - set(tools["mypy"]["files"])
