"""A program that tries doors of a sandbox, and a machine to run it on."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from machine import Machine, machine

SOURCE = Path(__file__).with_name("doors.c")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = tmp_path_factory.mktemp("doors") / "doors"
    subprocess.run(["gcc", "-static", "-O1", "-o", built, SOURCE], check=True)
    return built


@pytest.fixture
def here() -> Iterator[Machine]:
    with machine() as one:
        yield one
