"""Files of the source to places in the output.

Arguments: `install` (pairs of source and destination), `environment`. A destination ending in `/`
is a directory; `.` as the source means all of it.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from fruix.dataclass import dataclass
from fruix.packages.build_systems import recipe
from fruix.packages.build_systems.shared_phases import PATCH, RECORD_SOURCE, UNPACK


@dataclass(frozen=True, slots=True)
class Arguments(recipe.Arguments):
    """Arguments of packages that are copied; by default the whole source is the output."""

    install: tuple[tuple[recipe.InsidePath, recipe.InsidePath], ...] = ((".", "./"),)


def phases(arguments: Arguments, _outputs: Sequence[str]) -> recipe.Items:
    """The phases: unpack, patch, copy each pair, record the source."""
    install = 'mkdir -p "$out"\n' + "\n".join(_copy(*pair) for pair in arguments.install)
    return [("unpack", UNPACK), ("patch", PATCH), ("install", install), ("record-source", RECORD_SOURCE)]


def _copy(source: str, destination: str) -> str:
    target = f'"$out"/{shlex.quote(destination)}'
    parent = target if destination.endswith("/") else f'"$(dirname {target})"'
    what = "./." if source == "." else shlex.quote(f"./{source}")
    return f"mkdir -p {parent}\ncp -R {what} {target}"
