"""Small JSON files of the cache directory.

They are written whole or not at all, and worth nothing if they can't be read.

Whatever is wrong with such a file (missing, cut off, of another form) it is as if it were not there; it
can always be made again.
"""

from __future__ import annotations

import json
import os
from typing import Any

from fruix.atomic_file import atomic_file


def read_json(path: str) -> Any:
    """The value in the file; None if it is missing or not readable as JSON."""
    try:
        with open(path, encoding="ascii") as file:
            return json.load(file)
    except (OSError, ValueError, RecursionError):
        return None


def write_json(path: str, value: Any) -> None:
    """Replace the file in one step; names that aren't UTF-8 survive."""
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with atomic_file(path, mode=0o600) as file:
        file.write(json.dumps(value, separators=(",", ":")).encode("ascii"))
