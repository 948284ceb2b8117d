"""What has to be repaired for a request.

Damaged paths among its outputs and all that they need, and the derivations that can make them
again.

Every path is read and hashed anew, nothing is believed from earlier. A damaged path is fetched if a binary
cache has it, else made again
by its deriver, if that is valid and was built on this machine; before a derivation is built again,
what its builder reads is looked at too, so that no damage is built in. Sources, texts and what came
from elsewhere can't be made again: that is said, and whatever else can be repaired is.

Cost: one read of the closure, at SHA-256 speed, and of the inputs of what has to be built.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from fruix.building.plan.goal import Plan
from fruix.building.plan.goals import fetch, maker, plan
from fruix.building.plan.input_closure import input_closure
from fruix.building.plan.offers import Offers, no_offers
from fruix.dataclass import dataclass, field
from fruix.errors import FruixError
from fruix.model.buildresult import BuildMode, BuildResult, BuildStatus
from fruix.model.derivedpath import ALL, DerivedPath
from fruix.model.reasons import reason, text_of
from fruix.model.storepath import StorePath
from fruix.store import LocalStore
from fruix.store.tree.interruption import check_interrupt


@dataclass(slots=True)
class Repair:
    """What one request needs: derivations to be repaired, and paths that nobody can make."""

    request: DerivedPath
    derivations: set[StorePath] = field(default_factory=set)
    fetched: set[StorePath] = field(default_factory=set)
    lost: list[StorePath] = field(default_factory=list)

    def result(self, results: Mapping[StorePath, BuildResult]) -> BuildResult:
        """Its own, from those of all derivations: a failure, if there is one."""
        if self.lost:
            text = text_of(reason("irreparable", path=str(self.lost[0])), self.request.path)
            return BuildResult(BuildStatus.MISC_FAILURE, text)
        needed = [results[drv] for drv in sorted(self.derivations | self.fetched) if drv in results]
        failed = next((result for result in needed if not result.success), None)
        if failed is not None:
            return failed
        built = any(result.status is BuildStatus.BUILT for result in needed)
        fetched = any(result.status is BuildStatus.SUBSTITUTED for result in needed)
        otherwise = BuildStatus.SUBSTITUTED if fetched else BuildStatus.ALREADY_VALID
        status = BuildStatus.BUILT if built else otherwise
        return results.get(self.request.path, BuildResult(status))


class Survey:
    """Looks at requests one after the other; `plan` then holds the work for all of them."""

    def __init__(self, store: LocalStore, offers: Offers, features: Collection[str] = ()) -> None:
        self.plan = Plan(features=features)
        self._offers = offers
        self._store = store
        self._whole: dict[StorePath, bool] = {}
        self._needed_by: dict[StorePath, set[StorePath]] = {}

    def look(self, request: DerivedPath) -> Repair:
        """Find the derivations that make what is damaged or missing of `request`; reads all its files."""
        self._store.add_temp_root(request.path)
        repair = Repair(request)
        if request.outputs is None:
            pending = self._derivers(repair, self._closure([request.path]))
        elif outputs := self._fetchable(request.path):
            pending = self._derivers(repair, self._closure(outputs))
        else:
            pending = [request.path]
        while pending:
            check_interrupt()
            drv = pending.pop()
            if drv not in repair.derivations:
                repair.derivations.add(drv)
                needed = self._derivers(repair, self._paths_for(drv))
                drv = self.plan.resolved.get(drv, drv)  # what is built in its place
                repair.derivations.add(drv)
                self._depend(drv, needed)
                pending.extend(needed)
        return repair

    def finish(self) -> Plan:
        """The plan, when all requests have been looked at."""
        for drv, needed in self._needed_by.items():
            if drv in self.plan.goals:
                goal = self.plan.goals[drv]
                goal.dependencies = {
                    *goal.dependencies,
                    *(path for path in needed if path in self.plan.goals),
                }
        return self.plan

    def _depend(self, drv: StorePath, needed: Iterable[StorePath]) -> None:
        self._needed_by.setdefault(drv, set()).update(path for path in needed if path != drv)

    def _paths_for(self, drv: StorePath) -> set[StorePath]:
        """Put a derivation into the plan.

        The paths that must be whole for it, besides its outputs.
        """
        if drv not in self.plan.goals or self.plan.goals[drv].mode is not BuildMode.REPAIR:
            request, features = [DerivedPath(drv, ALL)], self.plan.features
            found = plan(self._store, request, BuildMode.REPAIR, features=features)
            self.plan.again = self.plan.again or found.again
            for name in ("settled", "derivations", "reasons", "resolved"):
                getattr(self.plan, name).update(getattr(found, name))
            for path, goal in found.goals.items():
                if path in {drv, found.resolved.get(drv)} or path not in self.plan.goals:
                    self.plan.goals[path] = goal
        goal_of_drv = self.plan.goals.get(self.plan.resolved.get(drv, drv))
        if goal_of_drv is None:
            return set()
        derivation = goal_of_drv.derivation
        outputs = set(derivation.output_paths.values())
        paths = self._closure(outputs)
        if not all(self._is_whole(path) for path in outputs):
            try:
                paths |= set(input_closure(self._store, derivation))
            except FruixError:  # an input is not valid: it is a goal of its own
                paths |= self._closure(derivation.input_srcs)
        return paths - outputs

    def _derivers(self, repair: Repair, paths: Iterable[StorePath]) -> list[StorePath]:
        """The derivations that make those of the paths again that are damaged and nobody has."""
        found = []
        damaged = self._damaged(paths)
        for path in damaged:
            if self._offers.get(path) is not None:
                fetch(self.plan, self._offers, [path])
                repair.fetched.add(path)
                continue
            drv = maker(self._store, path)
            if drv is not None:
                found.append(drv)
            elif path not in repair.lost:
                repair.lost.append(path)
        return found

    def _fetchable(self, drv: StorePath) -> list[StorePath]:
        """A derivation's outputs, if some are damaged and all of those can be fetched."""
        if not self._store.is_there(drv):
            return []
        outputs = list(self._store.derivation_outputs(drv).values())
        damaged = self._damaged(outputs)
        return outputs if damaged and all(self._offers.get(path) for path in damaged) else []

    def _damaged(self, paths: Iterable[StorePath]) -> list[StorePath]:
        """Those that aren't what they should be; caches have been asked for them."""
        found = [path for path in sorted(paths) if not self._is_whole(path)]
        self._offers.damaged.update(found)
        self._offers.ask(found)
        return found

    def _closure(self, paths: Iterable[StorePath]) -> set[StorePath]:
        """Of those that are valid; the others as they are."""
        wanted = set(paths)
        return wanted | self._store.closure(self._store.valid_paths(wanted))

    def _is_whole(self, path: StorePath) -> bool:
        if path not in self._whole:
            self._whole[path] = self._store.is_whole(path)
        return self._whole[path]


def survey(
    store: LocalStore,
    requests: Sequence[DerivedPath],
    offers: Offers | None = None,
    features: Collection[str] = (),
) -> tuple[Plan, list[Repair]]:
    """The work to repair what is asked for, and per request what it needs of it.

    It can be long: see `store.tree.interruption`.
    """
    looking = Survey(store, offers or no_offers(store), features)
    repairs = [looking.look(request) for request in requests]
    return looking.finish(), repairs
