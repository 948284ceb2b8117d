"""`fruix edit`: open a package's definition at its line, in $VISUAL, else $EDITOR, else vi."""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess

from fruix.errors import UsageError
from fruix.packages.load import find

# Editors that want a line in another way than `+LINE FILE`.
_PLACE = {
    "code": ("--goto", "{file}:{line}"),
    "codium": ("--goto", "{file}:{line}"),
    "subl": ("{file}:{line}",),
    "zed": ("{file}:{line}",),
    "hx": ("{file}:{line}",),
    "helix": ("{file}:{line}",),
    "kate": ("--line", "{line}", "{file}"),
    "ed": ("{file}",),
}
_USUAL = ("+{line}", "{file}")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the package's name."""
    parser.add_argument("package", metavar="PACKAGE", help="by its name, or NAME@VERSION")


def run(options: argparse.Namespace) -> int:
    """Run the editor; returns its status."""
    file, line = find(options.package).location
    words = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    place = _PLACE.get(os.path.basename(words[0]), _USUAL)
    command = [*words, *(part.format(file=file, line=line) for part in place)]
    try:
        return subprocess.run(command, check=False).returncode
    except OSError as error:
        raise UsageError(
            f"can't run the editor: {error.strerror}",
            where=words[0],
            hint="set VISUAL or EDITOR to one that is installed",
        ) from error
