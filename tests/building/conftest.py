"""A machine for all tests of a file, and a binary cache for one; files may have others of these names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fruix.model.storepath import StorePath
from machine import Machine, machine
from substitutes.caches import Cache


@pytest.fixture(scope="module")
def one() -> Iterator[Machine]:
    with machine() as made:
        yield made


@pytest.fixture
def here(one: Machine) -> Machine:
    """The machine of all tests here: each builds something of a name of its own."""
    one.events.clear()
    return one


@pytest.fixture(scope="module")
def shell(one: Machine, tmp_path_factory: pytest.TempPathFactory) -> StorePath:
    return one.shell(tmp_path_factory.mktemp("shell"))


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    tmp_path.chmod(0o755)
    return Cache(tmp_path / "cache")
