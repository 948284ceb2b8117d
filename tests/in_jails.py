"""A pytest plugin (`-p in_jails`): every build of the run is isolated by the FreeBSD back end, on the double of its system calls."""

from __future__ import annotations

from contextlib import AbstractContextManager

import pytest

from fruix.testing.freebsd import Double
from machine import jails

_JAILS = pytest.StashKey[AbstractContextManager[Double]]()


def pytest_configure(config: pytest.Config) -> None:
    """Before any test module is imported: some ask for the back end then."""
    config.stash[_JAILS] = jails()
    config.stash[_JAILS].__enter__()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Nothing may be left of all of them."""
    config.stash[_JAILS].__exit__(None, None, None)
