"""A program that tries doors of a sandbox, and a machine to run it on."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from fruix.model.build_options import BuildOptions
from fruix.model.storepath import StorePath
from machine import Machine, machine

SOURCE = Path(__file__).with_name("doors.c")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = tmp_path_factory.mktemp("doors") / "doors"
    subprocess.run(["gcc", "-static", "-O1", "-o", built, SOURCE], check=True)
    return built


def tried(here: Machine, drv: StorePath, contract: str) -> dict[str, str]:
    """What each door said, of a derivation whose output is what `program` wrote."""
    (result,) = here.build(drv, options=BuildOptions(contract))
    assert result.success, result.message
    return dict(line.split(" ", 1) for line in here.output(drv).read_text().splitlines())


@pytest.fixture
def here() -> Iterator[Machine]:
    with machine() as one:
        yield one
