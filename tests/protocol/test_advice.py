"""Clients of other worlds are told what to do by commands that they have."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import fruix
from fruix.cli.command_table import COMMANDS
from fruix.daemon.error_messages import failure
from fruix.errors import FruixError
from fruix.model.buildresult import BuildResult, BuildStatus
from fruix.protocol.advice import advised, in_words_of_nix
from fruix.protocol.build_codecs import BUILD_RESULT
from fruix.protocol.wire import FEATURE, Context, Dialect

SOURCE = Path(fruix.__file__).parent
NIX = Context(Dialect.NIX, 38, "/frx/store")
OWN = Context(Dialect.NIX, 38, "/frx/store", frozenset({FEATURE}))
_OWN_COMMAND = re.compile(rf"(?<![/\w.-])fruix ({'|'.join(COMMANDS)})\b")


@pytest.mark.parametrize(
    ("hint", "told"),
    [
        ("", ""),
        ("choose another name", "choose another name"),
        ("For full logs, run:\n  fruix log /x.drv", "For full logs, run:\n  nix-store -l /x.drv"),
        ("For full logs, run:\n  fruix log --check /x.drv", ""),
        ("a\n  b\nFor logs:\n  fruix log /x.drv", "a\n  b\nFor logs:\n  nix-store -l /x.drv"),
        ("free some space ('fruix gc'); or wait", "free some space ('nix-collect-garbage'); or wait"),
        ("fruix store verify --contents --repair", "nix-store --verify --check-contents --repair"),
        ("ask 'fruix doctor'; or wait", "or wait"),
        ("wait; ask 'fruix doctor'", "wait"),
        ("Start it. Then ask 'fruix doctor'. Or wait", "Start it. Or wait"),
        ("look at /var/lib/fruix and what is there", "look at /var/lib/fruix and what is there"),
    ],
)  # fmt: skip
def test_what_is_left_of_a_hint(hint: str, told: str) -> None:
    assert in_words_of_nix(hint) == told
    assert advised("wrong", hint, NIX) == (f"wrong\n{told}" if told else "wrong")
    assert advised("wrong", hint, OWN) == (f"wrong\n{hint}" if hint else "wrong")


def test_a_builders_words_stay_as_they_are() -> None:
    said = "Last 1 log lines:\n> now run fruix gc; or fruix log x"
    sink = bytearray()
    result = BuildResult(BuildStatus.MISC_FAILURE, said, hint="ask 'fruix doctor'; or fruix gc")
    BUILD_RESULT.write(sink, result, NIX)
    assert said.encode() + b"\nor nix-collect-garbage" in bytes(sink)
    assert b"doctor" not in sink


def test_errors_take_the_same_way() -> None:
    error = FruixError("no room", hint="'fruix gc' deletes what nothing needs")
    assert failure(error, NIX).message == "no room\n'nix-collect-garbage' deletes what nothing needs"
    assert failure(error, Context(Dialect.GUIX, 164, "/frx/store")).message == "no room"
    own = failure(error, OWN)
    assert (own.message, own.traces) == ("no room", ("'fruix gc' deletes what nothing needs",))


# What may name a command elsewhere than in a hint: no client of another world gets to read it.
_READ_BY_NOBODY_ELSE = frozenset({"cli", "graph", "packages", "testing", "web"})
_HINTS = re.compile("hint", re.IGNORECASE)
# Constants that hints are made of, by file.
_PARTS_OF_HINTS = {
    "store/database_errors.py": {"FREE_SPACE", "REBUILD", "_OTHER"},
    "errors.py": {"_REMEDIES"},
}


# Lines of the daemon's log.
_LOGGED = ("fruix daemon: %(message)s", "fruix daemon: ", "not seen by 'fruix ps': %s")


def _texts(tree: ast.Module, name: str) -> Iterator[ast.Constant]:
    """The texts of a module outside of docstrings and hints."""
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
            continue
        above: ast.AST | None = node
        while above is not None and not _is_hint(above, name):
            above = parents.get(above)
        if above is None and not isinstance(parents[node], ast.Expr):
            yield node


def _is_hint(node: ast.AST, file: str) -> bool:
    if isinstance(node, ast.keyword):
        return node.arg == "hint"
    if isinstance(node, ast.Call):  # hints.append
        return isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) == "hints"
    targets = getattr(node, "targets", [getattr(node, "target", None)])
    names = {target.id for target in targets if isinstance(target, ast.Name)}
    return any(map(_HINTS.search, names)) or bool(names & _PARTS_OF_HINTS.get(file, set()))


def test_commands_are_named_in_hints_alone() -> None:
    found = []
    for file in sorted(SOURCE.rglob("*.py")):
        name = str(file.relative_to(SOURCE))
        if name.split("/", maxsplit=1)[0] not in _READ_BY_NOBODY_ELSE:
            tree = ast.parse(file.read_text())
            found += [(name, one.value) for one in _texts(tree, name) if _OWN_COMMAND.search(str(one.value))]
    assert [row for row in found if row[1] not in _LOGGED and row[0] != "protocol/advice.py"] == []
