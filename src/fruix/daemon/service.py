"""What all sessions of a daemon share: store, builder, settings, and what is alive right now.

Sessions see interfaces only, so that tests give them small fakes; `opening` puts the real parts
together.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from fruix import __version__
from fruix.building.builders.platforms import local_system
from fruix.daemon.budget import Budget
from fruix.daemon.client_log import ClientLog
from fruix.daemon.connection import HangupWatcher
from fruix.daemon.keyring import Keyring
from fruix.daemon.settings import Settings
from fruix.daemon.store_users import Reopenable, StoreUsers
from fruix.model.activity import ActiveBuild
from fruix.model.build_options import BuildOptions
from fruix.model.buildresult import BuildMode, BuildResult
from fruix.model.contentaddress import Method
from fruix.model.derivedpath import DerivedPath
from fruix.model.events import Event
from fruix.model.finding import Finding
from fruix.model.garbage import Collected, Goal, Keep, Report, Root, WhyLive
from fruix.model.hostview import HostView, Sighting
from fruix.model.pathinfo import PathInfo
from fruix.model.planned import BuildPlan, Missing
from fruix.model.savings import Savings
from fruix.model.storepath import StorePath
from fruix.store.deduplication.rules import Rules
from fruix.store.interface import Store
from fruix.store.layout import Layout
from fruix.store.tree.hashing import StreamHash

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from fruix.building.shell import ShellRequest
    from fruix.sandbox import Exit
    from fruix.store.deduplication.stored import OnPath
    from fruix.store.failed_paths import Failures


class SessionRoots(Protocol):
    """Temporary roots that go with a session."""

    def session(self, roots: set[StorePath] | None = None) -> AbstractContextManager[set[StorePath]]:
        """Roots added by this thread during the context are the session's."""


class DaemonStore(Store, Reopenable, Protocol):
    """What a daemon needs of its store besides the interface of all stores."""

    @property
    def layout(self) -> Layout:
        """Where the parts lie, build logs too."""

    @property
    def temp_roots(self) -> SessionRoots:
        """Paths that sessions keep from being collected."""

    def add_text_info(self, name: str, contents: bytes, references: Sequence[StorePath] = ()) -> PathInfo:
        """Add a small text, named by its contents and references."""

    def add_dump(
        self,
        name: str,
        method: Method,
        algorithm: str,
        chunks: Iterable[bytes],
        references: Sequence[StorePath] = (),
        *,
        repair: bool = False,
    ) -> PathInfo:
        """Add contents whose path follows from them."""

    def add_described(self, chunks: Iterable[bytes], describe: Callable[[StreamHash], PathInfo]) -> PathInfo:
        """Add an archive whose path is known only behind it."""

    def add_permanent_root(self, path: StorePath, link: str) -> str:
        """Make a link to a path, and register it as a root."""

    def sync_with_collections(self) -> None:
        """Have running collections look at links again."""

    def find_roots(self, *, report: Report, processes: bool) -> list[Root]:
        """Every root that keeps a valid path."""

    def live_paths(self, keep: Keep, report: Report) -> list[StorePath]:
        """Valid paths that something keeps alive."""

    def dead_paths(self, keep: Keep, report: Report) -> list[StorePath]:
        """What a collection would delete."""

    def why_live(self, path: StorePath, keep: Keep) -> WhyLive:
        """The shortest way from a root to a valid path."""

    def collect(self, keep: Keep, goal: Goal, report: Report = ...) -> Collected:
        """Delete what is dead, as far as the goal says."""

    def delete(self, paths: Iterable[StorePath], keep: Keep, *, referrers: bool, report: Report) -> Collected:
        """Delete these paths, if nothing keeps them alive."""

    def is_there(self, path: StorePath) -> bool:
        """Whether a path is valid and nobody has deleted it by hand."""

    @property
    def failures(self) -> Failures:
        """Builds that are known to fail."""

    def damaged(self, *, contents: bool) -> list[StorePath]:
        """Valid paths whose files are gone or (`contents`) not what they were."""

    def optimise(self, rules: Rules, *, after: int = 0, on_path: OnPath | None = None) -> Savings:
        """Make equal files one, of all valid paths or of those that came after `last_row` gave `after`."""

    def wait_for_deduplication(self) -> None:
        """Return when what was registered up to now is deduplicated, as far as it is to be."""

    def last_row(self) -> int:
        """A number for now, for `optimise`."""

    def count(self) -> int:
        """How many paths are valid."""

    def verify(self, *, contents: bool = False, strays: bool = False) -> list[Finding]:
        """Check the store."""

    def inspect(self, paths: Iterable[StorePath], *, contents: bool) -> list[Finding]:
        """The same for some paths."""

    def mend(self, finding: Finding) -> None:
        """Mend what can be in place."""

    def forget_missing(self, paths: Iterable[StorePath]) -> list[StorePath]:
        """Make paths invalid whose files are gone and that nothing needs."""


class BuilderLike(Protocol):
    """The build half; see `fruix.building.builder.Builder`."""

    def realise(
        self,
        requests: Sequence[DerivedPath],
        options: BuildOptions,
        on_event: Callable[[Event], None],
        cancelled: threading.Event,
    ) -> list[tuple[DerivedPath, BuildResult]]:
        """Make requests valid; results in their order, failures among them. Returns early if `cancelled`."""

    def missing(self, requests: Iterable[DerivedPath]) -> Missing:
        """Return what `realise` would do; nothing is locked or promised."""

    def planned(self, requests: Iterable[DerivedPath], mode: BuildMode) -> BuildPlan:
        """Return what `realise` would do, with reasons and usual durations."""

    def active(self) -> list[ActiveBuild]:
        """All builds that run or wait."""

    def enter(
        self,
        asked: ShellRequest,
        options: BuildOptions,
        on_open: Callable[[int, str], None],
        gone: threading.Event,
    ) -> Exit:
        """A shell in a sandbox, to its end."""

    def host_view(self, name: str) -> HostView:
        """A host view as it is now, or by the fingerprint that it had."""

    def host_views(self) -> Mapping[str, Sequence[Sighting]]:
        """The host views that are offered, with their fingerprints so far, oldest first."""

    def drain(self) -> None:
        """Begin no more builds; returns when none runs."""

    def close(self) -> None:
        """End all builds, and return when nothing of them is left."""


@dataclass(slots=True)
class Service:
    """Shared by all sessions of a daemon; its parts are thread-safe."""

    store: DaemonStore
    builder: BuilderLike
    settings: Settings
    hangups: HangupWatcher = field(default_factory=HangupWatcher)
    budget: Budget = field(init=False)
    keyring: Keyring = field(init=False)
    users: StoreUsers = field(init=False)
    client_log: ClientLog = field(default_factory=lambda: ClientLog(log))
    version: str = f"fruix {__version__}"
    system: str = field(default_factory=local_system)
    stopping: str = ""  # why the daemon is ending, once it is
    relock: Callable[[], None] = lambda: None  # takes the lock of the state directory anew
    closing: ExitStack = field(default_factory=ExitStack)

    def __post_init__(self) -> None:
        self.users = StoreUsers(self.store, lambda: bool(self.builder.active()), self._before_reopening)
        self.budget = Budget(self.settings)
        self.keyring = Keyring.open(self.settings)

    def _before_reopening(self) -> None:
        self.store.layout.create()
        self.relock()

    def active_builds(self) -> list[ActiveBuild]:
        """All builds that run or wait, without the waiting ones of clients that have gone up to now."""
        self.hangups.look()
        return self.builder.active()

    def close(self) -> None:
        """End all builds, then let go of everything, last opened first. No session may be running."""
        self.hangups.close()
        self.closing.close()
