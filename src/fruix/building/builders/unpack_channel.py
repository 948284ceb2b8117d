"""`builtin:unpack-channel`.

A channel's tarball becomes a directory that holds its one entry under the channel's name.

Variables read: `src`, `channelName`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

from fruix.building.builders.tarballs import unpack

_FAILED = 1


def main(arguments: Mapping[str, Any]) -> int:
    """Unpack.

    Args:
        arguments: `out`, `source` (the tarball), `name` (what its entry is to be called).

    Returns:
        The exit status.
    """
    out, source, name = arguments["out"], arguments["source"], arguments["name"]
    os.mkdir(out, 0o755)
    try:
        unpack(source, out)
    except Exception as error:  # noqa: BLE001 - each compression has errors of its own
        return _fail(f"can't unpack '{source}': {error}")
    entries = os.listdir(out)
    if len(entries) != 1:
        return _fail(f"channel tarball '{source}' contains {len(entries)} entries, not one")
    os.rename(f"{out}/{entries[0]}", f"{out}/{name}")
    return 0


def _fail(text: str) -> int:
    sys.stdout.write(f"error: {text}\n")
    sys.stdout.flush()
    return _FAILED
