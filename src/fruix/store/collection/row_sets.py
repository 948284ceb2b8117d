"""Sets of rows that shall go: which of them may, and deleting these. Within a transaction of the caller."""

from __future__ import annotations

import json
import sqlite3

from fruix.store import schema


def without_held(connection: sqlite3.Connection, rows: set[int]) -> set[int]:
    """Leave out rows that something outside of them refers to, until there are none."""
    while True:
        asked = (json.dumps(sorted(rows)),)
        held = {int(row) for (row,) in connection.execute(schema.HELD_FROM_OUTSIDE, asked)}
        if not held:
            return rows
        rows -= held


def delete_rows(connection: sqlite3.Connection, rows: set[int]) -> None:
    """Make the paths of rows invalid. Nothing else refers to them."""
    asked = (json.dumps(sorted(rows)),)
    connection.execute(schema.DELETE_REFERENCES_OF_ROWS, asked)
    connection.execute(schema.DELETE_ROWS, asked)
