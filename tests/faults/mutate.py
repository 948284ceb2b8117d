"""Code with one thing taken out, or two put in another order.

A mutation is found in the source and made by giving a function other code: everything that has
imported it has it then. As a plugin of pytest (`-p faults.mutate`) this module makes the one that
the variable FRUIX_MUTATION names.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType

# What brings something to disk, or waits for it; what gives something its name. By the last part of
# what is called.
SYNCS = {
    "fsync", "sync_file_system", "sync_tree", "sync_object", "sync_log", "_advance", "wait",
    "_sync_files", "sync_path",
}  # fmt: skip
NAMES = {"rename", "exchange"}
# These wait for other threads.
NO_DISK = {
    *("self._changed.wait", "self._stopping.wait", "self._background.wait"),
    *("self.shredder.wait", "shredder.wait"),
}
BEFORE = " before "
VARIABLE = "FRUIX_MUTATION"
PACKAGE = "fruix.store"


@dataclass(frozen=True, slots=True, order=True)
class Mutation:
    """In a function of a module: its `number`th call of `call` is left out.

    Where `call` is "A before B", the first statement with a call of A changes places with the next
    one in the same body that has a call of B (or a `yield`).
    """

    module: str
    function: str
    call: str
    number: int = 0

    def __str__(self) -> str:
        number = "" if BEFORE in self.call else f" {self.number}"
        return f"{self.module}.{self.function}: {self.call}{number}"

    @classmethod
    def parse(cls, text: str) -> Mutation:
        """What `str` gave."""
        place, _, what = text.partition(": ")
        module, function = _divided(place)
        if BEFORE in what:
            return cls(module, function, what)
        call, _, number = what.partition(" ")
        return cls(module, function, call, int(number))

    def apply(self) -> None:
        """Have this process run the mutated code from now on.

        Raises:
            LookupError: there is nothing of that name.
        """
        module = importlib.import_module(f"{PACKAGE}.{self.module}")
        tree = ast.parse(inspect.getsource(module))
        node = _functions(tree)[self.function]
        first, _, second = self.call.partition(BEFORE)
        if second:
            _exchange(node, first, second)
        else:
            _leave_out(node, self.call, self.number)
        code = compile(ast.fix_missing_locations(tree), module.__file__ or "", "exec")
        _function(module, self.function).__code__ = _code(code, self.function)


def calls_in(package: Path, wanted: Collection[str]) -> Iterator[Mutation]:
    """All mutations that leave out one call of those names in the functions of `PACKAGE`."""
    for file in sorted(package.rglob("*.py")):
        module = ".".join(file.relative_to(package).with_suffix("").parts).removesuffix(".__init__")
        for function, node in _functions(ast.parse(file.read_text())).items():
            for name in sorted(wanted):
                for number in range(len(_calls(node, name))):
                    yield Mutation(module, function, name, number)


def _calls(node: ast.AST, name: str) -> list[ast.Call]:
    found = [each for each in ast.walk(node) if isinstance(each, ast.Call) and _called(each) == name]
    return sorted(found, key=lambda call: (call.lineno, call.col_offset))


def _called(call: ast.Call) -> str:
    text = ast.unparse(call.func)
    return "" if text in NO_DISK else text.rpartition(".")[2]


def _leave_out(function: ast.FunctionDef, name: str, number: int) -> None:
    left_out = _calls(function, name)[number]
    nothing = ast.Constant(value=True, lineno=left_out.lineno, col_offset=left_out.col_offset)
    for parent in ast.walk(function):
        for field, value in ast.iter_fields(parent):
            if value is left_out:
                setattr(parent, field, nothing)
            elif isinstance(value, list) and left_out in value:
                value[value.index(left_out)] = nothing


def _exchange(function: ast.FunctionDef, first: str, second: str) -> None:
    for parent in ast.walk(function):
        body = getattr(parent, "body", None)
        if not isinstance(body, list):
            continue
        for at, statement in enumerate(body):
            after = [n for n in range(at + 1, len(body)) if _has(body[n], second)]
            if after and _has(statement, first):
                body[at], body[after[0]] = body[after[0]], body[at]
                return
    raise LookupError(f"{first}{BEFORE}{second}")


def _has(statement: ast.stmt, name: str) -> bool:
    if name == "yield":
        return any(isinstance(found, ast.Yield) for found in ast.walk(statement))
    return bool(_calls(statement, name))


def _divided(place: str) -> tuple[str, str]:
    """Module and function: the module is what there is a file for."""
    parts = place.split(".")
    top = Path(importlib.import_module(PACKAGE).__file__ or "").parent
    known = next(n for n in range(len(parts), 0, -1) if top.joinpath(*parts[:n]).with_suffix(".py").is_file())
    return ".".join(parts[:known]), ".".join(parts[known:])


def _functions(tree: ast.Module) -> dict[str, ast.FunctionDef]:
    found = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            found[node.name] = node
        elif isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{n.name}": n for n in node.body if isinstance(n, ast.FunctionDef)}
    return found


def _function(module: object, name: str) -> FunctionType:
    found = module
    for part in name.split("."):
        found = inspect.getattr_static(found, part)
    unwrapped = inspect.unwrap(getattr(found, "__func__", found))  # type: ignore[arg-type]
    assert isinstance(unwrapped, FunctionType)
    return unwrapped


def _code(code: CodeType, name: str) -> CodeType:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            if constant.co_qualname == name:
                return constant
            if name.startswith(f"{constant.co_qualname}."):
                return _code(constant, name)
    raise LookupError(name)


if VARIABLE in os.environ:
    Mutation.parse(os.environ[VARIABLE]).apply()
