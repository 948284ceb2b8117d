"""What each input of a build costs the daemon, in calls of Python's functions, which no load changes."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from types import FrameType

import pytest

from fruix.model.build_options import BuildOptions
from fruix.model.derivedpath import ALL, DerivedPath
from fruix.model.storepath import StorePath
from machine import Machine, machine, shares_user
from packages.test_cost import calls

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shares_user(), reason="machine: builds run as users of their own"
)

FEW, MORE = 100, 300
# Of session and worker together, from the request to where the build is tidied up: a mount, and a look at
# what is left of its mount point. 35 while each input was turned over by itself.
MOST = 4


class Counted:
    """Calls by threads that begin from now on."""

    def __init__(self) -> None:
        self.calls = 0
        threading.setprofile(self.note)

    def note(self, _frame: FrameType, event: str, _argument: object) -> None:
        self.calls += event == "call"


def test_calls_for_each_input_of_a_build(tmp_path: Path) -> None:
    with machine() as here:
        shell = here.shell(tmp_path)
        inputs = [here.store.add_text(f"input-{number}", b"x", ()) for number in range(MORE)]
        counted = Counted()
        try:
            few, more = (_counted(here, shell, inputs[:many], counted) for many in (FEW, MORE))
        finally:
            threading.setprofile(None)
    assert more - few <= (MORE - FEW) * MOST


def _counted(here: Machine, shell: StorePath, inputs: list[StorePath], counted: Counted) -> int:
    """Of a build that finds the mount points of the one before."""
    first, second = (
        here.derivation(f"of-{len(inputs)}-{number}", "echo > $out", shell, sources=inputs)
        for number in (1, 2)
    )
    assert [result.success for result in here.build(first)] == [True]
    before = counted.calls
    request = [DerivedPath(second, ALL)]
    own = calls(
        lambda: here.builder.realise(request, BuildOptions("fruix"), here.events.append, threading.Event())
    )
    here.settle()
    assert here.output(second).exists()
    return own + counted.calls - before
