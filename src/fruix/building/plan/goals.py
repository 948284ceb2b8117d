"""What has to be done for a request: the graph of derivations to build, before anything is built.

`plan()` walks from the requested derivations down to the first valid outputs and returns the goals
with their dependencies, and the results of requests that need no work or can't be met. It only asks
the store; it changes nothing but temporary roots (added before validity is tested, so that no
collector comes in between).

A valid output whose files were deleted by hand counts as missing. Its derivation's goal is a
repair, since it is registered already.

What binary caches offer (`plan.offers`) is fetched: there is a goal for each path, which stand in
for the derivation that would make them.

Cost: one derivation read, one validity query and one lstat per derivation visited, none for what
its outputs refer to; iterative, so deep graphs are no problem. Of usual derivations just the head is
read, and kept (`plan.outlined`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from fruix.building.plan.goal import Goal, Plan
from fruix.building.plan.offers import Offers, may_be_fetched, missing_outputs, no_offers
from fruix.building.plan.outlined import may_be_built, open_outlined
from fruix.building.plan.refusals import check_features, check_names, check_purity, check_sources, rejected
from fruix.building.plan.seen import Seen, add_names
from fruix.building.plan.unresolved import (
    DYNAMIC_DERIVATIONS,
    follow,
    have_outputs,
    is_settled,
    known_outputs,
    needs_resolving,
    outputs_there,
    resolve_goal,
)
from fruix.errors import FruixError
from fruix.model.buildresult import BuildMode, BuildResult, BuildStatus
from fruix.model.derivation import Derivation, DerivationOutput
from fruix.model.derivedpath import DerivedPath
from fruix.model.reasons import reason, text_of
from fruix.model.resolving import with_scratch_paths
from fruix.model.storepath import StorePath, in_order
from fruix.store import LocalStore
from fruix.store.tree.interruption import check_interrupt

_Wanted = dict[StorePath, Collection[str]]


def plan(
    store: LocalStore,
    requests: Iterable[DerivedPath],
    mode: BuildMode = BuildMode.NORMAL,
    offers: Offers | None = None,
    given: Mapping[StorePath, Derivation] | None = None,
    features: Collection[str] = (),
    earlier: dict[StorePath, BuildResult] | None = None,
) -> Plan:
    """The work for `requests`. Errors of single requests become failed results, not exceptions.

    `offers`: what caches have of it. `given`: derivations that need not be in the store. `features`:
    experimental ones that are on. `earlier`: what became of derivations in earlier plans for the
    same requests; it may grow.
    """
    result = Plan(given=given or {}, features=features, earlier={} if earlier is None else earlier)
    offers = offers or no_offers(store)
    seen = Seen(store, outlined=offers.nobody and not (given or features or earlier))
    top = list(requests)
    wanted = _wanted_outputs(seen, result, top)
    asked_for = frozenset(wanted)
    _want_makers(result, wanted)
    for request in top:
        if request.outputs is None:
            _open_opaque(seen, result, request.path, wanted, offers)
    seen.look_up(wanted, lambda path: offers.get(path) is not None)
    stack: list[StorePath | Goal] = [*reversed(wanted)]
    while stack:
        path = stack.pop()
        if isinstance(path, Goal):  # behind its dependencies, which have been looked at by now
            result.goals[path.path] = result.goals.pop(path.path)
        elif path not in result.goals and path not in result.settled and path not in result.stand_ins:
            check_interrupt()
            own_mode = mode if path in asked_for else BuildMode.NORMAL
            needed = _opened(seen, result, path, wanted, own_mode, offers)
            if needed is not None:
                stack.append(result.goals[path])
                stack.extend(reversed(needed))
    result.wait_for_stand_ins()
    return result


def _opened(
    seen: Seen, found: Plan, path: StorePath, wanted: _Wanted, mode: BuildMode, offers: Offers
) -> Sequence[StorePath] | None:
    """What a derivation needs, by its head if that tells enough; None: it needs no goal."""
    if may_be_built(seen, path, wanted):
        return open_outlined(seen, found, path, wanted, mode)
    needed = _open(seen, found, path, wanted, mode, offers)
    return None if needed is None else in_order(needed)


def _wanted_outputs(
    store: Seen, found: Plan, requests: list[DerivedPath]
) -> dict[StorePath, Collection[str]]:
    wanted: dict[StorePath, Collection[str]] = {}
    for request in requests:
        drv: StorePath | None = request.path
        if request.via:
            drv = _derivation_of(store, found, request)
        if request.outputs is not None and drv is not None:
            add_names(wanted, drv, request.outputs)
    return wanted


def _derivation_of(store: Seen, found: Plan, request: DerivedPath) -> StorePath | None:
    """The derivation that is meant, if it is there; else one that leads to it is noted."""
    if DYNAMIC_DERIVATIONS not in found.features:
        why = reason("experimental", feature=DYNAMIC_DERIVATIONS)
        found.settled[request.path] = rejected(found, request.path, why)
        found.dynamic[request] = request.path, ""
        return None
    place = follow(found, store, request.path, request.via)
    found.dynamic[request] = place.path or place.drv, place.name if place.path is None else None
    return place.path


def _want_makers(found: Plan, wanted: dict[StorePath, Collection[str]]) -> None:
    """What leads to derivations that are asked for is built like an input."""
    for drv, name in found.dynamic.values():
        if name:
            found.again = True
            add_names(wanted, drv, (name,))


def _open_opaque(
    store: Seen, found: Plan, path: StorePath, wanted: dict[StorePath, Collection[str]], offers: Offers
) -> None:
    """Look at a path that is asked for by itself: settle it, or want the output that it is."""
    store.add_temp_root(path)
    if store.is_there(path):
        found.settled[path] = BuildResult(BuildStatus.ALREADY_VALID)
    elif offers.get(path) is not None:
        fetch(found, offers, [path])
    elif not store.is_valid(path):
        why = found.reasons[path] = reason("unobtainable", path=str(path))
        found.settled[path] = BuildResult(BuildStatus.NO_SUBSTITUTERS, text_of(why, path))
    elif (drv := maker(store.local, path)) is None:
        why = found.reasons[path] = reason("irreparable", path=str(path))
        found.settled[path] = BuildResult(BuildStatus.MISC_FAILURE, text_of(why, path))
    else:
        found.makers[path] = drv
        names = {name for name, output in store.local.derivation_outputs(drv).items() if output == path}
        add_names(wanted, drv, names)


def maker(store: LocalStore, path: StorePath) -> StorePath | None:
    """A derivation that is there and has this valid path among its outputs."""
    info = store.path_info(path)
    known = [info.deriver] if info is not None and info.deriver is not None else []
    for drv in (*known, *store.valid_derivers(path)):
        if store.is_there(drv) and path in store.derivation_outputs(drv).values():
            return drv
    return None


def _open(
    store: Seen,
    found: Plan,
    path: StorePath,
    wanted: dict[StorePath, Collection[str]],
    mode: BuildMode,
    offers: Offers,
) -> Collection[StorePath] | None:
    """Look at one derivation.

    Settle it, or put it down as a goal and return what it needs first.
    """
    if path in found.earlier and not found.earlier[path].success:
        found.settled[path] = found.earlier[path]
        return None
    if path in found.given:
        found.derivations[path] = found.given[path]
        return _want(store, found, path, wanted, mode, offers)
    store.add_temp_root(path)
    if not store.is_there(path):
        if offers.get(path) is not None:
            found.again, found.stand_ins[path] = True, (path,)
            fetch(found, offers, [path])
            return None
        why = found.reasons[path] = reason("missing-derivation")
        found.settled[path] = BuildResult(BuildStatus.MISC_FAILURE, text_of(why, path))
        return None
    try:
        derivation = store.read_derivation(path)
    except FruixError as error:
        found.settled[path] = BuildResult(BuildStatus.INPUT_REJECTED, str(error))
        return None
    found.derivations[path] = derivation
    return _want(store, found, path, wanted, mode, offers)


def _want(
    store: Seen,
    found: Plan,
    path: StorePath,
    wanted: dict[StorePath, Collection[str]],
    mode: BuildMode,
    offers: Offers,
) -> set[StorePath] | None:
    """The same for a derivation that has been read."""
    derivation, names = found.derivations[path], {*wanted.get(path, ())}
    problem = check_features(found, path) or check_names(path, derivation, names)
    if problem is None and mode == BuildMode.NORMAL and outputs_there(found, store, path, derivation, names):
        known = known_outputs(found, store, path, derivation)
        found.settled[path] = found.earlier.get(path) or BuildResult(BuildStatus.ALREADY_VALID, outputs=known)
        return None
    if problem is None and mode == BuildMode.NORMAL and _is_offered(found, offers, path, names):
        return None
    problem = problem or check_purity(found, store, path) or check_sources(store, path, derivation, offers)
    if problem is not None:
        found.settled[path] = problem
        return None
    needed = {source for source in derivation.input_srcs if offers.get(source) is not None}
    fetch(found, offers, needed)
    for dependency, outputs in _inputs(found, store, derivation):
        add_names(wanted, dependency, outputs)
        there = have_outputs(store, found, dependency, outputs)
        if not there and not is_settled(found, store, dependency, outputs):
            needed.add(dependency)
    if needs_resolving(found, store, derivation):
        return resolve_goal(
            found, store, path, names, needed, mode, lambda drv: _is_located(found, offers, drv, names)
        )
    for output in derivation.output_paths.values():
        store.add_temp_root(output)  # all of them: a build makes them all, whichever are wanted
    if mode == BuildMode.NORMAL and store.have_gone(derivation.output_paths.values()):
        mode = BuildMode.REPAIR
    built = with_scratch_paths(path, derivation) if derivation.is_floating else derivation
    found.goals[path] = Goal(path, built, frozenset(needed), mode)
    return needed


def _inputs(found: Plan, store: Seen, derivation: Derivation) -> Iterator[tuple[StorePath, Collection[str]]]:
    """Derivations that must have been built, and the outputs that are needed of each.

    Of those that are outputs, the next one that is lacking; the rest is seen when that is there.
    """
    for drv, names in derivation.input_drvs.items():
        if names or drv not in derivation.dynamic:
            yield drv, names
    for drv, chain in derivation.chains if derivation.dynamic else ():
        if len(chain) > 1 and (place := follow(found, store, drv, chain)).path is None:
            yield place.drv, (place.name,)


def _is_offered(found: Plan, offers: Offers, path: StorePath, names: set[str]) -> bool:
    """Whether all outputs that are wanted are fetched."""
    derivation = found.derivations[path]
    if offers.nobody:
        return False
    if derivation.is_unresolved:
        return _is_located(found, offers, path, names)
    absent = missing_outputs(offers.store, derivation, names)
    if not absent or not may_be_fetched(derivation) or any(offers.get(one) is None for one in absent):
        return False
    found.stand_ins[path] = tuple(absent)
    fetch(found, offers, absent)
    return True


def _is_located(found: Plan, offers: Offers, path: StorePath, names: set[str]) -> bool:
    """The same where caches know better than anybody here where the outputs are."""
    located = offers.located(found.derivations[path], names)
    offers.ask([one.path for one in located.values()])
    absent = [one.path for one in located.values() if not offers.is_here(one.path)]
    if not located or any(offers.get(one) is None for one in absent):
        return False
    found.located[path] = located
    found.again, found.stand_ins[path] = True, tuple(absent)
    fetch(found, offers, absent)
    return True


def fetch(found: Plan, offers: Offers, paths: Iterable[StorePath]) -> None:
    """Put down goals for paths that are offered, each after those that it refers to."""
    stack = [(path, False) for path in paths]
    while stack:
        path, expanded = stack.pop()
        offer = offers.get(path)
        if offer is None or path in found.goals:
            continue
        references = [one for one in offer.info.references if one != path and offers.get(one) is not None]
        if not expanded:
            stack += [(path, True), *((one, False) for one in references if one not in found.goals)]
            continue
        mode = BuildMode.REPAIR if offers.store.is_valid(path) else BuildMode.NORMAL
        stands = Derivation(path.name, {"out": DerivationOutput(path)}, {}, (), "", "", (), {})
        found.goals[path] = Goal(path, stands, frozenset(references), mode, offer)
