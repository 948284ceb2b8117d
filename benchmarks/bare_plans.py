"""The least that a plan costs a daemon in Python: for `bare_daemon.py`, which serves it.

For each derivation: two questions to the database in a list of many, its file opened, measured, read and
closed, its inputs and outputs found by two patterns. What is found is believed.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Iterable

_OUTPUT, _INPUT = re.compile(rb'\("[^"]*","([^"]*)"'), re.compile(rb'\("([^"]*)",\[')
_VALID = "select value from json_each(?) where value in (select path from ValidPaths)"


def missing(place: int, database: sqlite3.Connection, top: bytes) -> list[bytes]:
    """The derivations that have to be built for one of the store that is open as `place`."""
    found: list[bytes] = []
    level, seen = [top], {top}
    while level:
        texts = {path: read(place, path) for path in valid_of(database, level)}
        parts = {path: text.split(b"],[", 2) for path, text in texts.items()}
        outputs = {path: _OUTPUT.findall(part[0]) for path, part in parts.items()}
        valid = {*valid_of(database, (output for several in outputs.values() for output in several))}
        below: set[bytes] = set()
        for path, part in parts.items():
            if not valid.issuperset(outputs[path]):
                found.append(path)
                below.update(_INPUT.findall(part[1]))
        level = [*(below - seen)]
        seen |= below
    return found


def valid_of(database: sqlite3.Connection, paths: Iterable[bytes]) -> list[bytes]:
    """Those of some paths that are valid."""
    asked = json.dumps([path.decode() for path in paths])
    return [row[0].encode() for row in database.execute(_VALID, (asked,))]


def read(place: int, path: bytes) -> bytes:
    """A file of the store that is open as `place`."""
    file = os.open(path.rpartition(b"/")[2], os.O_RDONLY | os.O_NOFOLLOW, dir_fd=place)
    text = os.read(file, os.fstat(file).st_size)
    os.close(file)
    return text
