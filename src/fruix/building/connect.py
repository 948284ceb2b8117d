"""What builds need of another machine's daemon; `Builder` is given what connects to one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from fruix.errors import FruixError, UnreachableError
from fruix.model.buildresult import BuildResult
from fruix.model.derivation import Derivation
from fruix.model.events import Event
from fruix.model.machines import Machine
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath
from fruix.store import LocalStore

WhyStop = Callable[[], FruixError | None]


class Elsewhere(Protocol):
    """Another machine's daemon."""

    @property
    def is_own(self) -> bool:
        """Whether it is Fruix's."""

    def send(self, store: LocalStore, paths: Sequence[StorePath], *, substitute: bool) -> None:
        """Make paths of this store valid there, with all that they need.

        `substitute`: what that machine's binary caches have is fetched there instead of sent.
        """

    def build_derivation(
        self, drv: StorePath, derivation: Derivation, *, on_event: Callable[[Event], None]
    ) -> BuildResult:
        """Build; what the derivation needs is there."""

    def path_info(self, path: StorePath) -> PathInfo | None:
        """What it says of a path; None: it isn't there."""

    def nar(self, path: StorePath) -> Iterable[bytes]:
        """A path's archive."""


Connect = Callable[[Machine, str, int, WhyStop], AbstractContextManager[Elsewhere]]
"""Connects to a machine that has this store directory.

The connection is given up when there is a reason, for which the last argument is asked whenever the
descriptor before it is readable, and now and then. `FruixError`: it can't be reached.
"""


def no_machine(machine: Machine, *_asked: object) -> AbstractContextManager[Elsewhere]:
    """Where there is no way to other machines.

    Raises:
        UnreachableError: always.
    """
    raise UnreachableError("this daemon reaches no other machine", where=machine.uri)
