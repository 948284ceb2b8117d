"""What all sessions of a daemon share: store, builder, settings, and what is alive right now.

`opening` puts the parts together. Of the store and the build half only the types are imported here:
loading them takes a while.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING

from fruix import __version__
from fruix.daemon.answers import Answers
from fruix.daemon.budget import Budget
from fruix.daemon.build_half import BuildHalf
from fruix.daemon.client_log import ClientLog
from fruix.daemon.connection import HangupWatcher
from fruix.daemon.keyring import Keyring
from fruix.daemon.settings import Settings
from fruix.daemon.store_users import StoreUsers
from fruix.dataclass import dataclass, field
from fruix.log import Log
from fruix.model.activity import ActiveBuild
from fruix.this_machine import local_system

log = Log(__name__)

if TYPE_CHECKING:
    from fruix.building.builder import Builder
    from fruix.store import LocalStore


@dataclass(slots=True)
class Service:
    """Shared by all sessions of a daemon; its parts are thread-safe."""

    store: LocalStore
    half: BuildHalf
    settings: Settings
    keyring: Keyring
    hangups: HangupWatcher = field(default_factory=HangupWatcher)
    budget: Budget = field(init=False)
    users: StoreUsers = field(init=False)
    answers: Answers = field(init=False)
    client_log: ClientLog = field(default_factory=lambda: ClientLog(log))
    version: str = f"fruix {__version__}"
    system: str = field(default_factory=local_system)
    stopping: str = ""  # why the daemon is ending, once it is
    relock: Callable[[], None] = lambda: None  # takes the lock of the state directory anew
    closing: ExitStack = field(default_factory=ExitStack)

    def __post_init__(self) -> None:
        self.users = StoreUsers(self.store, lambda: bool(self.half.active()), self._before_reopening)
        self.answers = Answers(self.users.version)
        self.budget = Budget(self.settings)

    def _before_reopening(self) -> None:
        self.store.layout.create()
        self.relock()

    @property
    def builder(self) -> Builder:
        """What builds; see `BuildHalf`."""
        return self.half.builder

    def active_builds(self) -> list[ActiveBuild]:
        """All builds that run or wait, without the waiting ones of clients that have gone up to now."""
        self.hangups.look()
        return self.half.active()

    def close(self) -> None:
        """End all builds, then let go of everything, last opened first. No session may be running."""
        self.hangups.close()
        self.closing.close()
