"""The layers import only downwards, and the pure ones touch nothing outside."""

from __future__ import annotations

import ast
from pathlib import Path

import fruix

ROOT = Path(fruix.__file__).parent
# Lowest first; a layer may import from itself and from those before it.
LAYERS = (
    "errors",
    "model",
    "store",
    "sandbox",
    "building",
    "protocol",
    "client",
    "daemon",
    "packages",
    "testing",
    "cli",
)
# What a layer may not import although it lies lower.
FORBIDDEN = {
    "model": {"os", "socket", "time", "subprocess", "threading", "sqlite3", "pathlib", "io"},
    "sandbox": {"fruix.store"},
    "protocol": {"socket", "fruix.store", "fruix.sandbox"},
    "packages": {"fruix.sandbox", "fruix.building", "fruix.protocol", "fruix.client", "fruix.daemon"},
}
# Only the command line may use what is not in the standard library.
OPTIONAL = {"argparse_manpage", "rich", "shtab"}


def imports(path: Path) -> list[str]:
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.extend(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.append(node.module or "")
            found.extend(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def layer_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def sources() -> list[Path]:
    return [path for path in sorted(ROOT.rglob("*.py")) if layer_of(path) in LAYERS]


def test_every_file_belongs_to_a_layer() -> None:
    others = {layer_of(path) for path in ROOT.rglob("*.py")} - set(LAYERS)
    assert others <= {"__init__", "__main__"}


def test_imports_go_downwards() -> None:
    wrong = []
    for path in sources():
        layer = layer_of(path)
        for name in imports(path):
            parts = name.split(".")
            if (
                parts[0] == "fruix"
                and len(parts) > 1
                and parts[1] in LAYERS
                and LAYERS.index(parts[1]) > LAYERS.index(layer)
            ):
                wrong.append(f"{path.relative_to(ROOT)} ({layer}) imports {name}")
    assert not wrong


def test_forbidden_imports() -> None:
    wrong = []
    for path in sources():
        for name in imports(path):
            forbidden = FORBIDDEN.get(layer_of(path), set())
            if any(name == bad or name.startswith(bad + ".") for bad in forbidden):
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not wrong


def test_only_the_command_line_uses_optional_libraries() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sources()
        for name in imports(path)
        if name.split(".")[0] in OPTIONAL and layer_of(path) != "cli"
    ]
    assert not wrong


def test_files_stay_readable() -> None:
    too_long = {
        str(path.relative_to(ROOT)): lines
        for path in sorted(ROOT.rglob("*.py"))
        if (lines := path.read_text().count("\n")) > 400
    }
    assert not too_long
