"""`fruix ps` without options, while a daemon runs."""

from __future__ import annotations

import time

from fruix.cli.output.builds_table import table
from fruix.cli.quick import reach
from fruix.cli.quick.streams import is_plain, usable, write
from fruix.errors import FruixError
from fruix.protocol import numbers

TYPE_CHECKING = False  # what `typing` has, without loading it
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def answer(words: Sequence[str], environment: Mapping[str, str]) -> int | None:
    """Print the table; see the package."""
    if words or not usable():
        return None
    try:
        with reach.daemon(environment) as question:
            question.ask(numbers.QUERY_ACTIVE_BUILDS)
            builds = question.records(numbers.ACTIVE_BUILD)
    except (OSError, ValueError, FruixError):
        return None
    for build in builds:
        build.name = build.drv.rpartition("/")[2].partition("-")[2].removesuffix(".drv")
    lines = table(builds, time.time(), lambda text: text)
    text = "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")
    if not is_plain(text):
        return None
    try:
        write(text)
    except BrokenPipeError:
        return 141
    except OSError:
        return None
    return 0
