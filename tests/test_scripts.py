"""The programs of `scripts/` in Python import what is there; the long ones are run by hand only."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

SCRIPTS = {
    path.name: text
    for path in sorted((Path(__file__).parents[1] / "scripts").iterdir())
    if (text := path.read_text(encoding="utf-8")).startswith("#!/usr/bin/env python3\n")
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_what_they_import_is_there(name: str) -> None:
    imports = [node for node in ast.walk(ast.parse(SCRIPTS[name])) if isinstance(node, ast.ImportFrom)]
    assert imports
    for each in imports:
        module = importlib.import_module(each.module or "")
        assert [alias.name for alias in each.names if not hasattr(module, alias.name)] == [], each.module
