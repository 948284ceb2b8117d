"""Stores in temporary directories."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from fruix.store.layout import Layout
from fruix.store.local import LocalStore
from store.helpers import directory_fd, empty


@pytest.fixture
def layout(tmp_path: Path) -> Iterator[Layout]:
    base = os.path.realpath(tmp_path)
    yield Layout(f"{base}/store", f"{base}/state", f"{base}/log")
    empty(base)


@pytest.fixture
def store(layout: Layout) -> Iterator[LocalStore]:
    with LocalStore(layout) as opened:
        yield opened


@pytest.fixture
def area(tmp_path: Path) -> Iterator[str]:
    """A build's output area: a private directory, with one inside that the build could write to."""
    path = os.path.realpath(tmp_path) + "/area"
    os.mkdir(path, 0o700)
    os.mkdir(path + "/out")
    yield path + "/out"
    empty(path)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[int]:
    """The test's directory."""
    descriptor = directory_fd(tmp_path)
    yield descriptor
    os.close(descriptor)
    empty(tmp_path)
