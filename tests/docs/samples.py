"""How the blocks that are no commands are looked at: each by what reads such a thing in earnest."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path

from docs.documents import ROOT
from fruix.daemon import settings
from fruix.hostview.definition import definitions
from fruix.packages.load import find, from_file
from fruix.packages.package import Package
from packages.test_definitions import lowering
from packages.test_sources import TreeStore
from rows import ROWS


def check_settings(text: str) -> None:
    """A piece of the daemon's configuration, with views that can be made of it."""
    read = settings.parse(text)
    definitions(read.build.views)


def _lowered(text: str) -> Package:
    """The package of a file with that text, after it was lowered."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "package.py")
        file.write_text(text)
        (Path(directory) / "src").mkdir()
        package = from_file(str(file))[0]
        lowering(TreeStore()).lowered(package)
    return package


def check_definition(text: str) -> None:
    """A file that defines a package. One that has the name of a package of the catalogue is that package."""
    package = _lowered(text)
    if package.name == "hello":
        assert package == find("hello").inherit(description="")


def check_fields(text: str) -> None:
    """Lines, each of which says what a field of a package is; of the hashes they show the beginning."""
    whole = {"sha256": 64, "commit": 40}
    text = re.sub(
        r'(sha256|commit)="([0-9a-f]+)…"', lambda match: f'{match[1]}="{match[2]:0<{whole[match[1]]}}"', text
    )
    text = text.replace('"sha256-…"', f'"sha256-{"A" * 43}="')
    pieces = [text] if text.startswith("arguments=") else text.splitlines()
    for piece in pieces:
        field = piece if piece.startswith("source=") else f'source=Local("src"), {piece}'
        _lowered(f'package = Package(name="x", version="1", {field})')


def check_arguments(text: str) -> None:
    """A block that shows arguments of the build system `gnu`."""
    check_fields(f"arguments={{{text}}}")


def check_measuring(text: str) -> None:
    """Calls of the benchmarks name targets of the Makefile, and rows and options that there are."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    program = str(ROOT / "benchmarks/run")
    usage = subprocess.run(
        [sys.executable, program, "--help"], check=True, capture_output=True, text=True
    ).stdout
    for line in text.splitlines():
        command, *words = shlex.split(line, comments=True)
        if command == "make":
            target, *settings_ = words
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), line
            words = [word for setting in settings_ for word in setting.removeprefix("BENCH_FLAGS=").split()]
        else:
            assert str(ROOT / command) == program
        for option, value in pairwise([*words, ""]):
            assert not option.startswith("--") or option in usage, line
            assert option != "--only" or set(value.split(",")) <= {row.key for row in ROWS}, line


CHECKS: Mapping[str, Callable[[str], None]] = {
    "arguments": check_arguments,
    "definition": check_definition,
    "fields": check_fields,
    "measuring": check_measuring,
    "settings": check_settings,
}
