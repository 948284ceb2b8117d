"""Who pays for memory.

What the work on one request holds is charged to an account, which may refuse.

The account is the thread's, set by whoever serves a client (`charged_to`); without one nothing is
counted. Charged is what a client can make big: derivations, long lists of rows, texts that are
gathered. Figures are estimates of what Python's objects take, in bytes.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Account(Protocol):
    """Counts bytes for one client."""

    @property
    def taken(self) -> int:
        """Bytes that are counted for the request."""

    def take(self, size: int) -> None:
        """Count `size` bytes more.

        Raises:
            MemoryLimitError: they are too many; nothing was counted.
        """

    def give(self, size: int) -> None:
        """Count `size` bytes less."""


_thread = threading.local()


@contextmanager
def charged_to(account: Account) -> Iterator[None]:
    """What this thread charges during the context goes to `account`."""
    outer = getattr(_thread, "account", None)
    _thread.account = account
    try:
        yield
    finally:
        _thread.account = outer


def charge(size: int) -> None:
    """Count bytes until the end of the request.

    Raises:
        MemoryLimitError: they are too many.
    """
    account: Account | None = getattr(_thread, "account", None)
    if account is not None:
        account.take(size)


@contextmanager
def scoped() -> Iterator[None]:
    """What is charged during the context is given back at its end, not at the end of the request."""
    account: Account | None = getattr(_thread, "account", None)
    if account is None:
        yield
        return
    before = account.taken
    try:
        yield
    finally:
        account.give(account.taken - before)
