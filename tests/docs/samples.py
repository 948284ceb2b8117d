"""How the blocks that are no commands are looked at: each by what reads such a thing in earnest."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from fruix.daemon import settings
from fruix.hostview.definition import definitions
from fruix.packages.load import find, from_file
from fruix.packages.package import Package
from packages.test_definitions import lowering
from packages.test_sources import TreeStore


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
    """Arguments of the build system `gnu`."""
    check_fields(f"arguments={{{text}}}")


CHECKS: Mapping[str, Callable[[str], None]] = {
    "arguments": check_arguments,
    "definition": check_definition,
    "fields": check_fields,
    "settings": check_settings,
}
