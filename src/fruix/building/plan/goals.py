"""What has to be done for a request: the graph of derivations to build, before anything is built.

`plan()` walks from the requested derivations down to the first valid outputs and returns the goals
with their dependencies, and the results of requests that need no work or can't be met. It only asks
the store; it changes nothing but temporary roots (added before validity is tested, so that no
collector comes in between).

A valid output whose files were deleted by hand counts as missing. Its derivation's goal is a
repair, since it is registered already.

Cost: one derivation read, one validity query and one lstat per derivation visited, none for what
its outputs refer to; iterative, so deep graphs are no problem.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from fruix.errors import FruixError
from fruix.model.buildresult import BuildMode, BuildResult, BuildStatus
from fruix.model.derivation import Derivation
from fruix.model.derivedpath import ALL, DerivedPath
from fruix.model.hostview import CONTRACT_VARIABLE
from fruix.model.planned import Missing
from fruix.model.reasons import Reason, reason, text_of
from fruix.model.storepath import StorePath
from fruix.store import LocalStore


def kind_of(derivation: Derivation) -> str:
    """Which slots it takes, and what people call it: `download` or `build`."""
    return "download" if derivation.builder.startswith("builtin:") else "build"


def contract_name(derivation: Derivation, default: str) -> str:
    """The build contract that a derivation names, else its client's."""
    return derivation.env.get(CONTRACT_VARIABLE, default)


@dataclass(slots=True)
class Goal:
    """One derivation to build, and the derivations that must have been built before.

    `mode`: what was asked for is checked or repaired; what it needs is only built if it is missing,
    or repaired if its files are gone.
    """

    path: StorePath
    derivation: Derivation
    dependencies: frozenset[StorePath]
    mode: BuildMode = BuildMode.NORMAL


@dataclass(slots=True)
class Plan:
    """Goals in an order in which dependencies come first, and what is settled already.

    `reasons` for what can't be done.

    `makers`: paths that were asked for by themselves and whose files are gone, and the derivation
    that makes them again.
    """

    goals: dict[StorePath, Goal] = field(default_factory=dict)
    settled: dict[StorePath, BuildResult] = field(default_factory=dict)
    derivations: dict[StorePath, Derivation] = field(default_factory=dict)
    reasons: dict[StorePath, Reason] = field(default_factory=dict)
    makers: dict[StorePath, StorePath] = field(default_factory=dict)

    def result_of(self, request: DerivedPath, results: Mapping[StorePath, BuildResult]) -> BuildResult:
        """That of a request, from those of all goals."""
        return results[self.makers.get(request.path, request.path)]


def plan(store: LocalStore, requests: Iterable[DerivedPath], mode: BuildMode = BuildMode.NORMAL) -> Plan:
    """The work for `requests`. Errors of single requests become failed results, not exceptions."""
    result = Plan()
    top = list(requests)
    wanted = _wanted_outputs(top)
    asked_for = frozenset(wanted)
    for request in top:
        if request.outputs is None:
            _open_opaque(store, result, request.path, wanted)
    stack: list[tuple[StorePath, bool]] = [(path, False) for path in reversed(wanted)]
    while stack:
        path, expanded = stack.pop()
        if expanded:
            result.goals[path] = result.goals.pop(
                path
            )  # behind its dependencies, which have been looked at by now
        elif path not in result.goals and path not in result.settled:
            needed = _open(store, result, path, wanted, mode if path in asked_for else BuildMode.NORMAL)
            if needed is not None:
                stack.append((path, True))
                stack.extend((dependency, False) for dependency in sorted(needed, reverse=True))
    return result


def missing(store: LocalStore, requests: Iterable[DerivedPath]) -> Missing:
    """What building `requests` would do; nothing is a temporary root afterwards."""
    with store.temp_roots.session():
        found = plan(store, requests)
    unknown = {path for path, result in found.settled.items() if not result.success}
    return Missing(will_build=frozenset(found.goals), unknown=frozenset(unknown))


def _wanted_outputs(requests: list[DerivedPath]) -> dict[StorePath, set[str]]:
    wanted: dict[StorePath, set[str]] = {}
    for request in requests:
        if request.outputs is not None:
            wanted.setdefault(request.path, set()).update(request.outputs)
    return wanted


def _open_opaque(store: LocalStore, found: Plan, path: StorePath, wanted: dict[StorePath, set[str]]) -> None:
    """Look at a path that is asked for by itself: settle it, or want the output that it is."""
    store.add_temp_root(path)
    if store.is_there(path):
        found.settled[path] = BuildResult(BuildStatus.ALREADY_VALID)
    elif not store.is_valid(path):
        found.settled[path] = BuildResult(
            BuildStatus.NO_SUBSTITUTERS,
            f"path '{path}' is not valid and this version has no substituters that could provide it",
        )
    elif (drv := maker(store, path)) is None:
        why = found.reasons[path] = reason("irreparable", path=str(path))
        found.settled[path] = BuildResult(BuildStatus.MISC_FAILURE, text_of(why, path))
    else:
        found.makers[path] = drv
        names = {name for name, output in store.derivation_outputs(drv).items() if output == path}
        wanted.setdefault(drv, set()).update(names)


def maker(store: LocalStore, path: StorePath) -> StorePath | None:
    """A derivation that is there and has this valid path among its outputs."""
    info = store.path_info(path)
    known = [info.deriver] if info is not None and info.deriver is not None else []
    for drv in (*known, *store.valid_derivers(path)):
        if store.is_there(drv) and path in store.derivation_outputs(drv).values():
            return drv
    return None


def _open(
    store: LocalStore, found: Plan, path: StorePath, wanted: dict[StorePath, set[str]], mode: BuildMode
) -> set[StorePath] | None:
    """Look at one derivation.

    Settle it, or put it down as a goal and return what it needs first.
    """
    store.add_temp_root(path)
    if not store.is_there(path):
        why = found.reasons[path] = reason("missing-derivation")
        found.settled[path] = BuildResult(BuildStatus.MISC_FAILURE, text_of(why, path))
        return None
    try:
        derivation = store.read_derivation(path)
    except FruixError as error:
        found.settled[path] = BuildResult(BuildStatus.INPUT_REJECTED, str(error))
        return None
    found.derivations[path] = derivation
    names = wanted.get(path, set())
    problem = _check_names(path, derivation, names)
    if problem is None and mode == BuildMode.NORMAL and _outputs_there(store, derivation, names):
        found.settled[path] = BuildResult(BuildStatus.ALREADY_VALID, outputs=derivation.output_paths)
        return None
    problem = problem or _check_sources(store, path, derivation)
    if problem is not None:
        found.settled[path] = problem
        return None
    needed: set[StorePath] = set()
    for dependency, outputs in derivation.input_drvs.items():
        wanted.setdefault(dependency, set()).update(outputs)
        if not _have_outputs(store, found, dependency, outputs):
            needed.add(dependency)
    for output in derivation.output_paths.values():
        store.add_temp_root(output)  # all of them: a build makes them all, whichever are wanted
    if mode == BuildMode.NORMAL and _has_gone(store, derivation):
        mode = BuildMode.REPAIR
    found.goals[path] = Goal(path, derivation, frozenset(needed), mode)
    return needed


def _have_outputs(store: LocalStore, found: Plan, path: StorePath, outputs: Iterable[str]) -> bool:
    """Whether an input's wanted outputs are there already; then it is no goal at all."""
    if path in found.goals or path in found.settled or not store.is_valid(path):
        return False
    try:
        derivation = found.derivations.setdefault(path, store.read_derivation(path))
    except (FruixError, FileNotFoundError):
        return False
    return set(outputs) <= set(derivation.outputs) and _outputs_there(store, derivation, set(outputs))


def _check_names(path: StorePath, derivation: Derivation, names: set[str]) -> BuildResult | None:
    unknown = sorted(names - set(derivation.outputs) - set(ALL))
    if not unknown:
        return None
    text = (
        f"derivation '{path}' has no output '{unknown[0]}'; it has: {', '.join(sorted(derivation.outputs))}"
    )
    return BuildResult(BuildStatus.MISC_FAILURE, text)


def _check_sources(store: LocalStore, path: StorePath, derivation: Derivation) -> BuildResult | None:
    for source in derivation.input_srcs:
        if not store.is_there(source):
            state = "is gone" if store.is_valid(source) else "is not valid"
            text = f"derivation '{path}' needs source '{source}', which {state} and can't be obtained"
            return BuildResult(BuildStatus.MISC_FAILURE, text)
    return None


def _has_gone(store: LocalStore, derivation: Derivation) -> bool:
    """Whether an output is registered, but was deleted by hand."""
    paths = derivation.output_paths.values()
    return any(not store.is_there(path) and store.is_valid(path) for path in paths)


def _outputs_there(store: LocalStore, derivation: Derivation, names: set[str]) -> bool:
    everything = not names or ALL[0] in names
    for name, output in derivation.outputs.items():
        if everything or name in names:
            if output.path is None:
                return False
            store.add_temp_root(output.path)
            if not store.is_there(output.path):
                return False
    return True
