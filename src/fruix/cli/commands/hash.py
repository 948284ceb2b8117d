"""`fruix hash`: what a definition wants as `sha256` of files that are here: of a file its bytes, of a directory the archive (NAR) of what a `Local` would take."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Mapping

from fruix.errors import UsageError
from fruix.model.hashes import Hash, hasher
from fruix.model.text import printable
from fruix.packages.local_files import selected
from fruix.store.objects.content_hashes import flat_chunks
from fruix.store.tree.dump import dump

FORMS: Mapping[str, Callable[[Hash], str]] = {
    "hex": lambda value: value.base16,
    "sri": lambda value: value.sri,
    "nix32": lambda value: value.nix32,
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("paths", nargs="+", metavar="FILE|DIR", help="what to hash")
    parser.add_argument("--form", choices=FORMS, default="hex", help="how to write it (default: hex)")
    parser.add_argument(
        "--exclude",
        action="append",
        default=[],
        metavar="PATTERN",
        help="leave out of a directory (as in Local)",
    )


def run(options: argparse.Namespace) -> int:
    """A line each; with several, their names too."""
    for path in options.paths:
        if not os.path.exists(path):
            raise UsageError("there is no such file or directory", where=path)
        with selected(path, options.exclude) as top:
            text = FORMS[options.form](hash_of(top))
        print(text if len(options.paths) == 1 else f"{text}  {printable(path)}")
    return 0


def hash_of(path: str) -> Hash:
    """The SHA-256 of a file's bytes, or of a directory as an archive."""
    state = hasher("sha256")
    for chunk in _chunks(path):
        state.update(chunk)
    return Hash("sha256", state.digest())


def _chunks(path: str) -> Iterator[bytes]:
    directory, base = os.path.split(os.path.abspath(path))
    parent = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        read = dump if os.path.isdir(path) else flat_chunks
        yield from read(parent, os.fsencode(base), where=path)
    finally:
        os.close(parent)
