"""What builds and installs a Python package inside of its build: the text of this file is run there by the view's Python, in the source's directory.

It calls the hook `build_wheel` of the backend that `pyproject.toml` names (PEP 517) and installs the wheel with the library `installer`, an input of
every such build. Programs find the package and its inputs: their module search paths are written into them.
"""

from __future__ import annotations

import ast
import importlib
import io
import os
import sys
import tomllib
from pathlib import Path
from typing import Any, BinaryIO

SITE = "lib/python3/site-packages"


def main() -> None:
    """Build, then install into `$out`."""
    from installer import install  # noqa: PLC0415 - an input of the build, not of Fruix
    from installer.sources import WheelFile  # noqa: PLC0415

    top = os.environ["NIX_BUILD_TOP"] + "/.fruix/wheel"
    os.makedirs(top)
    wheel = build_wheel(top)
    with WheelFile.open(Path(wheel)) as source:
        install(source, destination(source.distribution), additional_metadata={"INSTALLER": b"fruix\n"})


def build_wheel(directory: str) -> str:
    """The wheel's path, made by the backend of the source."""
    with open("pyproject.toml", "rb") as file:
        wanted = tomllib.load(file).get("build-system", {})
    sys.path[:0] = [os.path.abspath(path) for path in wanted.get("backend-path", [])]
    name, _, attribute = wanted.get("build-backend", "setuptools.build_meta:__legacy__").partition(":")
    try:
        backend: Any = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name.partition(".")[0]:
            raise
        sys.exit(
            f"pyproject.toml asks for the build backend '{name}', which is no input: add its package to native_inputs"
        )
    for part in filter(None, attribute.split(".")):
        backend = getattr(backend, part)
    return os.path.join(directory, backend.build_wheel(directory))


def destination(distribution: str) -> Any:
    """Where the parts of a wheel of that name go."""
    from installer.destinations import SchemeDictionaryDestination  # noqa: PLC0415

    out = os.environ["out"]  # noqa: SIM112 - the variable's name
    site = f"{out}/{SITE}"
    search = [site, *filter(os.path.isdir, os.environ.get("PYTHONPATH", "").split(os.pathsep))]

    class Output(SchemeDictionaryDestination):  # type: ignore[misc,unused-ignore]
        """The output; nothing is written elsewhere, and programs get their search path."""

        def write_to_fs(self, scheme: Any, path: str, stream: BinaryIO, is_executable: bool) -> Any:
            target = os.path.normpath(os.path.join(self.scheme_dict[scheme], path))
            if not target.startswith(out + "/"):
                sys.exit(f"the wheel's {path} leads out of the output")
            if scheme == "scripts":
                stream = io.BytesIO(with_search_path(stream.read(), search))
            print("installed", target)  # noqa: T201 - for the log
            return super().write_to_fs(scheme, path, stream, is_executable or scheme == "scripts")

    places = {"purelib": site, "platlib": site, "scripts": f"{out}/bin", "data": out}
    places["headers"] = f"{out}/include/{distribution}"
    return Output(places, interpreter=sys.executable, script_kind="posix")


def with_search_path(program: bytes, paths: list[str]) -> bytes:
    """A program that looks for modules in these directories, after its own and before the interpreter's; others than Python's stay as they are.

    The line stands before the first statement that may be preceded by one: after a docstring and `from __future__ import …`.
    """
    if not program.startswith(b"#!" + os.fsencode(sys.executable)):
        return program
    try:
        statements = ast.parse(program).body
    except (SyntaxError, ValueError):
        return program
    first = next((item for item in statements if not must_be_first(item)), None)
    if first is None:
        return program
    number = min([first.lineno, *(item.lineno for item in getattr(first, "decorator_list", []))])
    lines = program.splitlines(keepends=True)
    added = f"import sys; sys.path[1:1] = {paths!r}\n"
    return b"".join([*lines[: number - 1], added.encode(), *lines[number - 1 :]])


def must_be_first(statement: ast.stmt) -> bool:
    """Whether nothing may stand before this."""
    if isinstance(statement, ast.ImportFrom):
        return statement.module == "__future__"
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


if __name__ == "__main__":
    main()
