"""What all sessions of a daemon share: store, builder, settings, and what is alive right now.

`open_service` puts the real parts together, in the order that safety asks for; sessions see
interfaces only, so that tests give them small fakes.
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
from fruix.daemon.settings import Settings
from fruix.errors import StoreError
from fruix.model.activity import ActiveBuild
from fruix.model.build_options import BuildOptions
from fruix.model.buildresult import BuildMode, BuildResult
from fruix.model.contentaddress import Method
from fruix.model.derivedpath import DerivedPath
from fruix.model.events import Event
from fruix.model.hostview import HostView, Sighting
from fruix.model.pathinfo import PathInfo
from fruix.model.planned import BuildPlan, Missing
from fruix.model.storepath import StorePath
from fruix.store.interface import Store
from fruix.store.layout import Layout

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from fruix.building.shell import ShellRequest
    from fruix.sandbox import Exit, Spawner
    from fruix.store.failed_paths import Failures


class SessionRoots(Protocol):
    """Temporary roots that go with a session."""

    def session(self, roots: set[StorePath] | None = None) -> AbstractContextManager[set[StorePath]]:
        """Roots added by this thread during the context are the session's."""


class DaemonStore(Store, Protocol):
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

    def is_there(self, path: StorePath) -> bool:
        """Whether a path is valid and nobody has deleted it by hand."""

    @property
    def failures(self) -> Failures:
        """Builds that are known to fail."""

    def damaged(self, *, contents: bool) -> list[StorePath]:
        """Valid paths whose files are gone or (`contents`) not what they were."""

    def verify(self, *, contents: bool = False) -> list[str]:
        """Check the store; one line per problem."""


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
        """The same with reasons and durations."""

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
    client_log: ClientLog = field(default_factory=lambda: ClientLog(log))
    version: str = f"fruix {__version__}"
    system: str = field(default_factory=local_system)
    stopping: str = ""  # why the daemon is ending, once it is
    _closing: ExitStack = field(default_factory=ExitStack)

    def __post_init__(self) -> None:
        self.budget = Budget(self.settings)

    def active_builds(self) -> list[ActiveBuild]:
        """All builds that run or wait, without the waiting ones of clients that have gone up to now."""
        self.hangups.look()
        return self.builder.active()

    def close(self) -> None:
        """End all builds, then let go of everything, last opened first. No session may be running."""
        self.hangups.close()
        self._closing.close()


def open_service(
    layout: Layout, settings: Settings, spawner: Spawner, *, accept_store: bool = False
) -> Service:
    """Open the store (which recovers it), undo what a crashed daemon left behind, and start the build half.

    Raises:
        FruixError: what keeps the daemon from running.
    """
    from fruix.building.builder import Builder  # noqa: PLC0415 - the whole build half; only a real daemon wants it
    from fruix.building.recovery import recover_builds  # noqa: PLC0415
    from fruix.store import Limits, LocalStore  # noqa: PLC0415

    _refuse_exposed(layout)
    with ExitStack() as closing:
        build = settings.build
        limits = Limits(build.min_free, build.min_free_files, settings.max_derivation_size)
        store = LocalStore(layout, durability=settings.durability, limits=limits, accept=accept_store).open()
        closing.callback(store.close)
        removed = [f"object {name}" for name in store.swept.removed]
        for line in (*removed, *recover_builds(store)):
            log.warning("left by a crash, removed: %s", line)
        for line in store.swept.notes(layout.store):
            log.warning("%s", line)
        builder = Builder(store, spawner, build)
        closing.callback(builder.close)
        return Service(store, builder, settings, _closing=closing.pop_all())


def _refuse_exposed(layout: Layout) -> None:
    """Refuse directories that anybody can write on the way to the store: what lies below could be swapped."""
    if exposed := layout.exposed_parents():
        raise StoreError(
            f"'{exposed[0]}' can be written by everybody",
            where=layout.store,
            hint="choose directories all of whose parents only root can write"
            " (FRUIX_STORE_DIR, FRUIX_STATE_DIR)",
        )
