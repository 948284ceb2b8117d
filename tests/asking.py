"""Asking for builds in other ways, and what is told about them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import pytest

from fruix.building.queue import allowance
from fruix.model.build_options import BuildOptions
from fruix.model.buildresult import BuildMode, BuildResult
from fruix.model.events import Event, LogLine, Note
from fruix.model.storepath import StorePath
from machine import Machine

# Two builds never give the same, in several ways.
UNSTEADY = """
mkdir -p $out/bin
head -c 100000 /dev/zero > $out/bin/tool
head -c 16 /dev/urandom | md5sum >> $out/bin/tool
echo same > $out/same
head -c 16 /dev/urandom | md5sum > $out/id
ln -s $(cat $out/id) $out/link
touch $out/only-$(cat $out/id)
"""


class Clock:
    """The time of builds' limits, which can be put forward."""

    JUMP = 50_000  # seconds

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._ahead = 0
        self._now = time.monotonic
        monkeypatch.setattr(allowance, "time", self)

    def monotonic(self) -> float:
        return self._now() + self._ahead

    def jump(self) -> None:
        self._ahead += self.JUMP


class WhenReady(list[Event]):
    """Events of a build; does something when a builder says that it is ready."""

    def __init__(self, action: Callable[[], object]) -> None:
        super().__init__()
        self._action = action

    def append(self, event: Event) -> None:
        super().append(event)
        if isinstance(event, LogLine) and event.line == "ready":
            self._action()


def options(mode: BuildMode = BuildMode.NORMAL, **more: Any) -> BuildOptions:
    return BuildOptions(more.pop("contract", "fruix"), mode, **more)


def last(here: Machine, kind: type[Any]) -> Any:
    return next(event for event in reversed(here.events) if isinstance(event, kind))


def notes(here: Machine) -> list[str]:
    return [event.text for event in here.events if isinstance(event, Note)]


def failed(here: Machine, drv: StorePath, options: BuildOptions | None = None) -> BuildResult:
    """A build that fails, after which nothing of its outputs is there."""
    (result,) = here.build(drv, options=options or BuildOptions("nix"))
    assert not result.success
    for path in here.store.derivation_outputs(drv).values():
        assert not os.path.lexists(here.store.real(path))
    return result
