"""Derivations whose output paths are not known before their inputs have been built.

Such a goal waits until its inputs are there, and is then planned again: what is built is the
derivation with the outputs of its inputs in it. If that was built before, whatever its own
derivation looked like, nothing is left to do. What is impure was never built before, but in an
earlier plan for the same request.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from fruix.building.plan.goal import Goal, Plan
from fruix.building.plan.seen import Seen
from fruix.dataclass import dataclass
from fruix.errors import FruixError
from fruix.model.buildresult import BuildMode, BuildResult, BuildStatus
from fruix.model.derivation import Derivation
from fruix.model.derivedpath import meant
from fruix.model.realisation import Realisation, realisation_id
from fruix.model.resolving import resolve, with_scratch_paths
from fruix.model.storepath import StorePath

CONTENT_ADDRESSED = "ca-derivations"
IMPURE_DERIVATIONS = "impure-derivations"
DYNAMIC_DERIVATIONS = "dynamic-derivations"


def needs_resolving(found: Plan, store: Seen, derivation: Derivation) -> bool:
    """Whether outputs of inputs have to be put into it: their paths, or its own, are not known from texts."""
    if not derivation.input_drvs or CONTENT_ADDRESSED not in found.features:
        return False
    inputs = (path for path in derivation.input_drvs if store.is_valid(path))
    if derivation.is_unresolved or derivation.dynamic:
        return True
    return any(store.read_derivation(path).is_unresolved for path in inputs)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an output is that others lead to; else which derivation makes the first that isn't there."""

    path: StorePath | None
    drv: StorePath
    name: str


def follow(found: Plan, store: Seen, drv: StorePath, chain: Collection[str]) -> Place:
    """Go from a derivation to its output of the first name, from that to its of the second, and so on."""
    path = drv
    for name in chain:
        drv = path
        if not drv.is_derivation or not store.is_there(drv):
            return Place(None, drv, name)
        derivation = store.read_derivation(drv)
        if name not in derivation.outputs or not outputs_there(found, store, drv, derivation, (name,)):
            return Place(None, drv, name)
        path = known_outputs(found, store, drv, derivation)[name]
    return Place(path, drv, name)


def resolve_goal(
    found: Plan,
    store: Seen,
    path: StorePath,
    names: set[str],
    needed: set[StorePath],
    mode: BuildMode,
    is_located: Callable[[StorePath], bool],
) -> set[StorePath] | None:
    """Put down what is built for it, or, where some inputs are still needed, a goal that waits for them.

    `is_located`: whether outputs of the derivation that it becomes are fetched.

    Returns:
        What it needs first; None: nothing.
    """
    derivation = found.derivations[path]
    if needed:
        found.again = True
        found.goals[path] = Goal(path, derivation, frozenset(needed), mode, unresolved=True)
        return needed
    places = {(one, chain): follow(found, store, one, chain).path for one, chain in derivation.chains}
    known = {key: place for key, place in places.items() if place is not None}
    drv, resolved = resolve(derivation, known, store.local.directory)
    if mode == BuildMode.NORMAL and outputs_there(found, store, drv, resolved, names):
        found.settled[path] = _built_before(found, store, path, drv, resolved)
        return None
    found.derivations[drv] = resolved
    if mode == BuildMode.NORMAL and is_located(drv):
        found.stand_ins[path] = found.stand_ins[drv]
        found.located[path] = _as_of(store, derivation, found.located[drv])
        return None
    for output in resolved.output_paths.values():
        store.add_temp_root(output)
    store.add_temp_root(drv)
    found.resolved[path], found.stand_ins[path] = drv, (drv,)
    built = with_scratch_paths(drv, resolved) if resolved.is_floating else resolved
    found.goals[drv] = Goal(drv, built, frozenset(), mode)
    return None


def _built_before(
    found: Plan, store: Seen, path: StorePath, drv: StorePath, resolved: Derivation
) -> BuildResult:
    """The result of a derivation that becomes another one, whose outputs are there."""
    derivation = found.derivations[path]
    if derivation.is_impure:
        found.earlier[path] = found.earlier[drv]
        return found.earlier[drv]
    outputs = known_outputs(found, store, drv, resolved)
    outputs = {name: one for name, one in outputs.items() if store.is_valid(one)}
    store.local.realise(derivation, outputs)
    return BuildResult(BuildStatus.RESOLVES_TO_ALREADY_VALID, outputs=outputs)


def _as_of(store: Seen, derivation: Derivation, located: Mapping[str, Realisation]) -> dict[str, Realisation]:
    """What is known of a derivation as what is known of another one that becomes the same."""
    identity = store.local.derivation_identity(derivation)
    return {name: Realisation(realisation_id(identity, name), one.path) for name, one in located.items()}


def have_outputs(store: Seen, found: Plan, path: StorePath, outputs: Iterable[str]) -> bool:
    """Whether an input's wanted outputs are there already; then it is no goal at all."""
    if path in found.goals or path in found.settled or not store.is_valid(path):
        return False
    try:
        derivation = found.derivations.setdefault(path, store.read_derivation(path))
    except (FruixError, FileNotFoundError):
        return False
    return set(outputs) <= set(derivation.outputs) and outputs_there(
        found, store, path, derivation, set(outputs)
    )


def is_settled(found: Plan, store: Seen, path: StorePath, names: Collection[str]) -> bool:
    """Whether an input was looked at before, and is there.

    If only others of its outputs are, it is open again.
    """
    if path not in found.settled or not found.settled[path].success or path not in found.derivations:
        return False
    if outputs_there(found, store, path, found.derivations[path], names):
        return True
    del found.settled[path]
    return False


def known_outputs(
    found: Plan, store: Seen, path: StorePath, derivation: Derivation
) -> Mapping[str, StorePath]:
    """The outputs of a derivation that are known; of an impure one those that were made for this request."""
    if not derivation.is_impure:
        return store.local.realised(derivation)
    result = found.earlier.get(path)
    return result.outputs if result is not None and result.success else {}


def outputs_there(
    found: Plan, store: Seen, path: StorePath, derivation: Derivation, names: Collection[str]
) -> bool:
    """Whether its outputs among `names` (`*`, or none: all) are known and there."""
    known = known_outputs(found, store, path, derivation)
    for name in meant(names, derivation.outputs):
        if name not in known:
            return False
        store.add_temp_root(known[name])
        if not store.is_there(known[name]):
            return False
    return True
