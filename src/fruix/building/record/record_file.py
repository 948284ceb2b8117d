"""The build record: a JSON file beside each log that says how its outputs came to be.

Read by `--metadata`, `fruix log`, and whoever asks later how something was built. Written once,
when the build has ended, well or not: into a temporary file, then renamed, so that a record is
whole or absent. Fields are only ever added; `version` grows when one changes its meaning.

Layout: see `docs/how-a-build-runs.md`, which shows a whole record.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fruix.atomic_file import write_file
from fruix.building.record.log_reading import bare_name
from fruix.errors import StoreError

VERSION = 1
SUFFIX = ".json"
_VERSION = f'"version": {VERSION}'


def record_path(log_file: str) -> str:
    """Where the record of a build lies whose log is `log_file`."""
    return bare_name(log_file) + SUFFIX


def part_of(record: Mapping[str, Any]) -> str:
    """The text of some fields, which a record can be put together of; there must be one."""
    # One line: only without line breaks does `json` write fast, and builds can have thousands of mounts.
    return json.dumps(record)[1:-1]


def write_record(log_file: str, *parts: str) -> None:
    """Put a record in place that has the fields of all parts."""
    text = f"{{{', '.join((_VERSION, *parts))}}}\n"
    write_file(record_path(log_file), text.encode("ascii"))


def read_record(log_file: str) -> dict[str, Any] | None:
    """The record beside `log_file`, or None if that derivation was never built here.

    Raises:
        StoreError: the file is there but is no record.
    """
    path = record_path(log_file)
    try:
        with open(path, encoding="utf-8") as file:
            record = json.load(file)
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise StoreError(
            f"build record is not JSON: {error}", where=path, hint="remove it and build again"
        ) from error
    if not isinstance(record, dict) or record.get("version") != VERSION:
        raise StoreError(
            "build record of another version", where=path, hint="read it with the fruix that wrote it"
        )
    return record
