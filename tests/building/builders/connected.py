"""Machines in a private network whose fixed-output builds are connected to it."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Iterator
from typing import Any

import network_rig as rig
from fruix.building.settings import BuildSettings
from fruix.model.build_options import BuildOptions
from fruix.model.derivation import DerivationOutput
from fruix.model.events import LogLine
from fruix.model.storepath import StorePath
from machine import Machine, machine


@contextlib.contextmanager
def connected_machine(way: str, **more: Any) -> Iterator[Machine]:
    with (
        rig.private_network(),
        machine(BuildSettings(max_jobs=2, cores=2, fixed_output_network=way, **more)) as here,
    ):
        yield here


def fixed(data: bytes) -> dict[str, DerivationOutput]:
    return {"out": DerivationOutput(None, "sha256", hashlib.sha256(data).hexdigest())}


def lines(here: Machine) -> list[str]:
    return [event.line for event in here.events if isinstance(event, LogLine)]


def build_until(here: Machine, drv: StorePath, stop: threading.Event) -> None:
    from fruix.model.derivedpath import ALL, DerivedPath

    here.builder.realise([DerivedPath(drv, ALL)], BuildOptions("fruix"), here.events.append, stop)
