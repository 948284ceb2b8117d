"""The build half of the daemon behind one object.

Requests in, events while it works, results out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence

from fruix.building.durations import History
from fruix.building.host_views import HostViews
from fruix.building.plan.goals import missing, plan
from fruix.building.plan.repair import survey
from fruix.building.prepared_views import PreparedViews
from fruix.building.queue.realisation import Realisation
from fruix.building.queue.scheduler import CANCELLED, Scheduler
from fruix.building.recovery import journal_of, user_locks
from fruix.building.resources import Resources
from fruix.building.run.build import run_build
from fruix.building.run.keep_failed import free_room
from fruix.building.sandbox_shell import OpenShells, ShellRequest, enter
from fruix.building.settings import BuildSettings
from fruix.building.status import active_build, planned
from fruix.errors import FruixError
from fruix.model.activity import ActiveBuild
from fruix.model.build_options import BuildOptions
from fruix.model.buildresult import BuildMode, BuildResult
from fruix.model.derivedpath import DerivedPath
from fruix.model.events import Event
from fruix.model.hostview import HostView, Sighting
from fruix.model.planned import BuildPlan, Missing
from fruix.sandbox import Exit, Spawner, UserPool
from fruix.sandbox.back_ends import current
from fruix.store import LocalStore
from fruix.store.tree.interruption import interruptible

DOWNLOAD_SLOTS = 4


class Builder:
    """Thread-safe; sessions call it from their own threads."""

    def __init__(self, store: LocalStore, spawner: Spawner, settings: BuildSettings) -> None:
        layout = store.layout
        self.settings = settings
        views = HostViews(layout.views, settings.views)
        self._resources = Resources(
            store=store,
            spawner=spawner,
            users=UserPool(user_locks(layout), settings.uids, shared=not current().has_users(settings.uids)),
            journal=journal_of(layout),
            views=views,
            prepared=PreparedViews(layout.prepared, layout.builds, views.names, self._room_for_view),
            history=History(layout.history),
            settings=settings,
        )
        slots = {"build": max(1, settings.max_jobs), "download": DOWNLOAD_SLOTS}
        self._shells = OpenShells(max(1, len(settings.uids) - sum(slots.values())))
        self._scheduler = Scheduler(
            lambda job: run_build(job, self._resources), slots, per_user=settings.max_jobs_per_user
        )

    def realise(
        self,
        requests: Sequence[DerivedPath],
        options: BuildOptions,
        on_event: Callable[[Event], None],
        cancelled: threading.Event,
    ) -> list[tuple[DerivedPath, BuildResult]]:
        """Make `requests` valid.

        Args:
            requests: store paths, or derivations with the outputs wanted.
            options: the client's wishes.
            on_event: called on this thread, in order.
            cancelled: set by the caller when its client has gone.

        Returns:
            One result per request, in order; failures are results too.
        """
        if options.mode is BuildMode.REPAIR:
            try:
                with interruptible(lambda: FruixError("cancelled") if cancelled.is_set() else None):
                    work, repairs = survey(self._resources.store, requests)
            except FruixError:
                if not cancelled.is_set():
                    raise
                return [(request, CANCELLED) for request in requests]
            results = Realisation(work, self._scheduler, options, on_event, cancelled).run()
            return [(repair.request, repair.result(results)) for repair in repairs]
        work = plan(self._resources.store, requests, options.mode)
        results = Realisation(work, self._scheduler, options, on_event, cancelled).run()
        return [(request, work.result_of(request, results)) for request in requests]

    def missing(self, requests: Iterable[DerivedPath]) -> Missing:
        """The derivations that `realise` would build and the paths that can't be had; changes nothing."""
        return missing(self._resources.store, requests)

    def host_view(self, name: str) -> HostView:
        """A view's fingerprint and tools as they are now, or what a fingerprint stood for."""
        return self._resources.views.now_or_known(name)

    def host_views(self) -> dict[str, list[Sighting]]:
        """The views that are offered, with their fingerprints so far, oldest first."""
        return self._resources.views.histories()

    def planned(self, requests: Iterable[DerivedPath], mode: BuildMode = BuildMode.NORMAL) -> BuildPlan:
        """What `realise` would do, with reasons and usual durations."""
        resources = self._resources
        return planned(resources.store, requests, mode, resources.history, self.settings.max_jobs)

    def active(self) -> list[ActiveBuild]:
        """All builds that run or wait, oldest first, for all clients.

        Then the shells that are open.
        """
        builds = [active_build(job, self._resources.history) for job in self._scheduler.jobs()]
        return [*builds, *self._shells.rows()]

    def enter(
        self,
        request: ShellRequest,
        options: BuildOptions,
        on_open: Callable[[int, str], None],
        gone: threading.Event,
    ) -> Exit:
        """A shell in a sandbox, to its end; see `fruix.building.sandbox_shell`."""
        return enter(request, options, self._resources, self._shells, on_open, gone)

    def _room_for_view(self) -> int:
        return min(self.settings.max_prepared_view, free_room(self._resources))

    def drain(self) -> None:
        """Begin no more builds: those that wait, and those that are asked for from now on, fail.

        Returns when none runs (shells may).
        """
        self._scheduler.drain()

    def close(self) -> None:
        """End all builds and wait for their clean-up."""
        self._scheduler.close()
