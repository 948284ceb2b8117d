"""`fruix guile-path`: where the Guile modules for Guix's clients are, among them the build system `host`.

For `guix build -L "$(fruix guile-path)"`; below it, `guix/extensions` is for `GUIX_EXTENSIONS_PATH`.
"""

from __future__ import annotations

import argparse
from importlib.resources import as_file, files


def configure(_parser: argparse.ArgumentParser) -> None:
    """Add nothing: there is one such directory."""


def run(_options: argparse.Namespace) -> int:
    """Print the directory."""
    with as_file(files("fruix") / "guile") as directory:
        print(directory)
    return 0
