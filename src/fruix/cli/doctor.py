"""`fruix doctor`: one line for each thing that isolation needs of this machine, and what to do where it lacks."""

from __future__ import annotations

import argparse
import sys

from fruix.cli.text import styled, wants_colour
from fruix.sandbox.capabilities import Capability, probe

MARKS = {True: ("ok", "green"), False: ("missing", "red")}


def configure(parser: argparse.ArgumentParser) -> None:
    """No arguments."""
    del parser


def run(options: argparse.Namespace) -> int:
    """Print the table; status 1 if something that builds need is missing."""
    del options
    found = probe()
    colour = wants_colour(sys.stdout)
    for capability in found:
        print(_line(capability, colour=colour))
    lacking = [capability.name for capability in found if capability.needed and not capability.available]
    if lacking:
        print(f"builds can't be isolated here: {', '.join(lacking)}", file=sys.stderr)
        return 1
    return 0


def _line(capability: Capability, *, colour: bool) -> str:
    mark, style = MARKS[capability.available]
    if not capability.available and not capability.needed:
        mark, style = "absent", "yellow"
    text = f"{styled(f'{mark:<8}', style, colour=colour)}{capability.name:<22} {capability.detail}"
    return f"{text}\n{'':8}-> {capability.remedy}" if not capability.available and capability.remedy else text
