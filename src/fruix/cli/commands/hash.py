"""`fruix hash`: what a definition wants as `sha256` of files that are here.

That is the hash of a file's bytes, or of the archive (NAR) of what a `Local` takes of a directory.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping

from fruix.cli.request.word_lists import WordList
from fruix.errors import UsageError
from fruix.model.hashes import Hash
from fruix.model.text import printable
from fruix.packages.local_files import selected
from fruix.store.objects.content_hashes import flat_chunks, hash_stream
from fruix.store.tree.dump import dump

FORMS: Mapping[str, Callable[[Hash], str]] = {
    "hex": lambda value: value.base16,
    "sri": lambda value: value.sri,
    "nix32": lambda value: value.nix32,
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the files, the form of a hash, and what is left out of directories."""
    parser.add_argument("paths", nargs="+", action=WordList, metavar="FILE|DIR", help="what to hash")
    parser.add_argument("--form", choices=FORMS, default="hex", help="how to write it (default: hex)")
    parser.add_argument(
        "--exclude",
        action="append",
        default=[],
        metavar="PATTERN",
        help="leave out of a directory (as in Local)",
    )


def run(options: argparse.Namespace) -> int:
    """Print the hash of each file; with several, their names too."""
    for path in options.paths:
        if not os.path.exists(path):
            raise UsageError("there is no such file or directory", where=path)
        with selected(path, options.exclude) as top:
            text = FORMS[options.form](hash_of(top))
        print(text if len(options.paths) == 1 else f"{text}  {printable(path)}")
    return 0


def hash_of(path: str) -> Hash:
    """The SHA-256 of a file's bytes, or of a directory as an archive."""
    directory, base = os.path.split(os.path.abspath(path))
    parent = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        read = dump if os.path.isdir(path) else flat_chunks
        return hash_stream(read(parent, os.fsencode(base), where=path))[0]
    finally:
        os.close(parent)
