"""The build half of the daemon behind one object.

Requests in, events while it works, results out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager

from fruix.building.connect import Connect, no_machine
from fruix.building.durations import History
from fruix.building.host_views import HostViews
from fruix.building.nested import Serve, nobody
from fruix.building.parking import Parking
from fruix.building.plan.goal import Plan, missing, of_resolved
from fruix.building.plan.goals import plan
from fruix.building.plan.offers import Offers, gather
from fruix.building.plan.repair import survey
from fruix.building.prepared_views import PreparedViews
from fruix.building.queue.fleet import Fleet
from fruix.building.queue.job import Job
from fruix.building.queue.outcomes import CANCELLED
from fruix.building.queue.realisation import Realisation, is_postponed
from fruix.building.queue.scheduler import ELSEWHERE, Scheduler
from fruix.building.recovery import journal_of, user_locks
from fruix.building.resources import Resources
from fruix.building.run.build import run_build
from fruix.building.run.keep_failed import free_room
from fruix.building.sandbox_shell import OpenShells, ShellRequest, enter
from fruix.building.settings import BuildSettings
from fruix.building.status import active_build, planned
from fruix.building.substitution import Substitution
from fruix.dataclass import replace
from fruix.errors import FruixError
from fruix.model import aterm
from fruix.model.activity import ActiveBuild
from fruix.model.build_options import BuildOptions, Trust
from fruix.model.buildresult import BuildMode, BuildResult, BuildStatus
from fruix.model.derivation import Derivation
from fruix.model.derivedpath import DerivedPath
from fruix.model.events import Event
from fruix.model.hostview import HostView, Sighting
from fruix.model.planned import BuildPlan, Missing
from fruix.model.storepath import StorePath
from fruix.sandbox import Exit, Spawner, UserPool
from fruix.sandbox.back_ends import current
from fruix.signing.substitute_trust import SubstituteTrust
from fruix.store import LocalStore
from fruix.store.tree.interruption import interruptible
from fruix.substitutes.substituter import Found

DOWNLOAD_SLOTS = 4
# Builds on other machines at once, whatever their lists say: each has a thread and a process of `ssh`.
MOST_SENT = 256
ANY = BuildOptions()


def _ignore(_event: Event) -> None:
    """Of a question nobody is told more than the answer."""


def _slots(settings: BuildSettings) -> dict[str, int]:
    """Of what is done on this machine."""
    substitutions = settings.max_substitution_jobs
    return {"build": max(1, settings.max_jobs), "download": DOWNLOAD_SLOTS, "substitute": substitutions}


class Builder:
    """Thread-safe; sessions call it from their own threads."""

    def __init__(
        self,
        store: LocalStore,
        spawner: Spawner,
        settings: BuildSettings,
        trust: Trust = SubstituteTrust(),  # noqa: B008 - it is frozen
        connect: Connect = no_machine,
        serve: Serve = nobody,
    ) -> None:
        """Begin nothing yet.

        `trust`: whose word on paths of binary caches is taken, unless a request says otherwise.
        `connect`: how other machines are reached. `serve`: serves builders that talk to the daemon.
        """
        layout = store.layout
        self.settings = settings
        shared = settings.own_user or not current().has_users(settings.uids)
        views = HostViews(layout.views, settings.views)
        journal = journal_of(layout)
        self._resources = Resources(
            store=store,
            spawner=spawner,
            users=UserPool(user_locks(layout), settings.uids, shared=shared),
            journal=journal,
            parking=Parking(spawner, journal, layout.builds, store.database.identity),
            views=views,
            prepared=PreparedViews(layout.prepared, layout.builds, views.names, self._room_for_view),
            history=History(layout.history),
            settings=settings,
            connect=connect,
            serve=serve,
        )
        self._substitution = Substitution(self._resources, trust)
        slots = _slots(settings)
        spare = max(1, len(settings.uids) - sum(slots.values()))
        self._shells = OpenShells(spare)
        slots, per_user = {**slots, ELSEWHERE: MOST_SENT}, settings.max_jobs_per_user
        self._scheduler = Scheduler(self._run, slots, Fleet(settings), per_user=per_user, most_lent=spare)

    def realise(
        self,
        requests: Sequence[DerivedPath],
        options: BuildOptions,
        on_event: Callable[[Event], None],
        cancelled: threading.Event,
        given: Mapping[StorePath, Derivation] | None = None,
        on_wait: Callable[[], None] = lambda: None,
    ) -> list[tuple[DerivedPath, BuildResult]]:
        """Make `requests` valid.

        Args:
            requests: store paths, or derivations with the outputs wanted.
            options: the client's wishes.
            on_event: called on this thread, in order.
            cancelled: set by the caller when its client has gone.
            given: derivations that need not be in the store.
            on_wait: called on this thread when it has no more to tell for now.

        Returns:
            One result per request, in order; failures are results too.
        """
        options = self._substitution.resolved(self._with_machines(options))
        try:
            return self._realise(requests, options, on_event, cancelled, given, on_wait)
        except FruixError:
            if not cancelled.is_set():
                raise
            return [(request, CANCELLED) for request in requests]

    def _with_machines(self, options: BuildOptions) -> BuildOptions:
        """With the operator's choice where the client has none."""
        machines, substitute = options.machines, options.machines_substitute
        return replace(
            options,
            machines=self.settings.machines if machines is None else machines,
            machines_substitute=self.settings.machines_substitute if substitute is None else substitute,
        )

    def _realise(
        self,
        requests: Sequence[DerivedPath],
        options: BuildOptions,
        on_event: Callable[[Event], None],
        cancelled: threading.Event,
        given: Mapping[StorePath, Derivation] | None,
        on_wait: Callable[[], None],
    ) -> list[tuple[DerivedPath, BuildResult]]:
        """Plan and carry out, again where something promised didn't come, or inputs are known now."""
        repair = options.mode is BuildMode.REPAIR
        refused, told = set[StorePath](), set[str]()
        earlier: dict[StorePath, BuildResult] = {}
        while True:
            with interruptible(lambda: FruixError("cancelled") if cancelled.is_set() else None):
                offers = self._substitution.offers(options, refused, on_event, told)
                if repair:
                    work, repairs = survey(
                        self._resources.store, requests, offers, self.settings.experimental_features
                    )
                else:
                    work, repairs = self._plan(requests, options, offers, given, earlier), []
                self._add_resolved(work)
            realisation = Realisation(work, self._scheduler, options, on_event, cancelled, on_wait)
            results = realisation.run()
            self._note_resolved(work, results, earlier)
            self._note_located(work, earlier)
            refused |= realisation.refused
            if not realisation.refused and not (work.again and work.may_go_on(results, options)):
                break
        if repair:
            return [(repair.request, repair.result(results)) for repair in repairs]
        return [(request, work.result_of(request, results, on_event)) for request in requests]

    def _add_resolved(self, work: Plan) -> None:
        """What is built in the place of others is what its outputs come from, so it is in the store."""
        for drv in {*work.resolved.values()}:
            resolved = work.derivations[drv]
            self._resources.store.add_text(drv.name, aterm.render(resolved), resolved.references)

    def _note_resolved(
        self, work: Plan, results: Mapping[StorePath, BuildResult], earlier: dict[StorePath, BuildResult]
    ) -> None:
        """What became of goals, and the outputs of derivations in whose place others were built."""
        earlier.update({path: results[path] for path in work.goals if not is_postponed(results[path])})
        for drv, resolved in work.resolved.items():
            if not is_postponed(results[resolved]):
                earlier[drv] = of_resolved(resolved, results[resolved])
            if results[resolved].success and not work.derivations[drv].is_impure:
                self._resources.store.realise(work.derivations[drv], results[resolved].outputs)

    def _note_located(self, work: Plan, earlier: dict[StorePath, BuildResult]) -> None:
        """Where outputs are that have been fetched."""
        store = self._resources.store
        for drv, located in work.located.items():
            outputs = {name: one.path for name, one in located.items()}
            if all(map(store.is_valid, outputs.values())):
                store.database.realise(located.values())
                earlier[drv] = BuildResult(BuildStatus.SUBSTITUTED, outputs=outputs)

    def _plan(
        self,
        requests: Iterable[DerivedPath],
        options: BuildOptions,
        offers: Offers,
        given: Mapping[StorePath, Derivation] | None = None,
        earlier: dict[StorePath, BuildResult] | None = None,
    ) -> Plan:
        requests = list(requests)
        if options.mode is BuildMode.NORMAL and not given:
            gather(offers, requests)
        features = self.settings.experimental_features
        return plan(self._resources.store, requests, options.mode, offers, given, features, earlier)

    def _look(self, requests: Iterable[DerivedPath], options: BuildOptions) -> Plan:
        """The plan of a request of which nobody is told more."""
        options = self._substitution.resolved(options)
        return self._plan(requests, options, self._substitution.offers(options, (), _ignore, set()))

    def _run(self, job: Job) -> BuildResult:
        if job.offer is not None:
            return self._substitution.run(job, job.offer)
        return run_build(job, self._resources)

    def missing(self, requests: Iterable[DerivedPath], options: BuildOptions = ANY) -> Missing:
        """The derivations that `realise` would build and the paths that can't be had; changes nothing."""
        with self._resources.store.temp_roots.session():
            return missing(self._look(requests, options))

    def substitutable(self, paths: Collection[StorePath], options: BuildOptions = ANY) -> Found:
        """What binary caches offer of paths, whether they are here or not."""
        return self._substitution.query(paths, options)

    def lent(self, drv: StorePath) -> AbstractContextManager[None]:
        """Meanwhile the builder of a running build waits for others; see `Scheduler.lent`."""
        return self._scheduler.lent(drv)

    def host_view(self, name: str) -> HostView:
        """A view's fingerprint and tools as they are now, or what a fingerprint stood for."""
        return self._resources.views.now_or_known(name)

    def host_views(self) -> dict[str, list[Sighting]]:
        """The views that are offered, with their fingerprints so far, oldest first."""
        return self._resources.views.histories()

    def planned(self, requests: Iterable[DerivedPath], options: BuildOptions = ANY) -> BuildPlan:
        """What `realise` would do, with reasons and usual durations."""
        resources = self._resources
        with resources.store.temp_roots.session():
            found = self._look(requests, options)
            return planned(resources.store, found, resources.history, self.settings.max_jobs)

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
        self._resources.parking.close()
