"""Goals, and plans that consist of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from fruix.dataclass import dataclass, field, replace
from fruix.model.aterm.outline import Outline
from fruix.model.build_options import BuildOptions
from fruix.model.buildresult import BuildMode, BuildResult, BuildStatus
from fruix.model.derivation import Derivation
from fruix.model.derivedpath import DerivedPath
from fruix.model.events import BuildFailed, Event
from fruix.model.hostview import CONTRACT_VARIABLE
from fruix.model.planned import Missing
from fruix.model.realisation import Realisation
from fruix.model.reasons import Reason, reason, text_of
from fruix.model.storepath import StorePath
from fruix.store import LocalStore
from fruix.substitutes.substituter import Offer

SUBSTITUTE, DOWNLOAD, BUILD, BUILTIN = "substitute", "download", "build", "builtin"
_FETCHERS = frozenset({"builtin:fetchurl", "builtin:download", "builtin:git-download"})
# Of what has to be planned again when its inputs are there; to be told by identity.
UNRESOLVED = BuildResult(BuildStatus.TRANSIENT_FAILURE, "its inputs are not known yet")


def kind_of(derivation: Derivation | Outline) -> str:
    """What people call it.

    `download`, `build`, or `builtin`: what the daemon makes of inputs by a builder of its own.
    """
    if derivation.builder in _FETCHERS:
        return DOWNLOAD
    return BUILTIN if derivation.builder.startswith("builtin:") else BUILD


def slots_of(kind: str) -> str:
    """Which slots it takes: what the daemon makes itself takes as much of the machine as a build."""
    return BUILD if kind == BUILTIN else kind


def contract_name(derivation: Derivation, default: str) -> str:
    """The build contract that a derivation names, else its client's."""
    return derivation.env.get(CONTRACT_VARIABLE, default)


@dataclass(slots=True)
class Goal:
    """One derivation to build, and the derivations that must have been built before.

    `mode`: what was asked for is checked or repaired; what it needs is only built if it is missing,
    or repaired if its files are gone.

    `unresolved`: what it builds depends on what its inputs turn out to be; it is planned again then.

    `offer`: it is a path that is fetched; then `known` stands for that alone.

    `known`: the derivation, or its outline; then all of it is read from `store` when it is needed.
    """

    path: StorePath
    known: Derivation | Outline
    dependencies: Collection[StorePath]
    mode: BuildMode = BuildMode.NORMAL
    offer: Offer | None = None
    unresolved: bool = False
    store: LocalStore | None = None

    @property
    def derivation(self) -> Derivation:
        """What is built.

        Raises:
            FruixError: only its outline was read, and its file is no longer what it was.
        """
        if isinstance(self.known, Derivation):
            return self.known
        assert self.store is not None
        return self.store.valid_derivation(self.path)

    @property
    def outputs(self) -> Mapping[str, StorePath | None]:
        """The paths of its outputs; None: not known before the build."""
        if not isinstance(self.known, Derivation):
            return self.known.output_paths
        floating = self.known.is_floating  # where it makes them is nobody's concern
        return {name: None if floating else output.path for name, output in self.known.outputs.items()}

    @property
    def kind(self) -> str:
        """As `kind_of`, or `substitute`."""
        return SUBSTITUTE if self.offer is not None else kind_of(self.known)


@dataclass(slots=True)
class Plan:
    """Goals in an order in which dependencies come first, and what is settled already.

    `reasons` for what can't be done.

    `makers`: paths that were asked for by themselves and whose files are gone, and the derivation
    that makes them again.

    `stand_ins`: derivations, and the paths that are fetched instead; a derivation that is fetched
    itself stands for what has to be planned `again` when it is here.

    `given`: derivations that came with the request, and need not be in the store.

    `resolved`: derivations, and what is built in their places, with the outputs of their inputs in it.
    `features`: experimental ones that are on.
    `earlier`: what became of derivations in earlier plans for the same request.
    `located`: of derivations, where outputs are that are fetched; to be noted when they are here.
    `dynamic`: of requests for outputs of a derivation that is an output itself, that derivation and
    None; if it isn't there, one that leads to it, and by which output.
    """

    goals: dict[StorePath, Goal] = field(default_factory=dict)
    settled: dict[StorePath, BuildResult] = field(default_factory=dict)
    derivations: dict[StorePath, Derivation] = field(default_factory=dict)
    reasons: dict[StorePath, Reason] = field(default_factory=dict)
    makers: dict[StorePath, StorePath] = field(default_factory=dict)
    stand_ins: dict[StorePath, tuple[StorePath, ...]] = field(default_factory=dict)
    again: bool = False
    given: Mapping[StorePath, Derivation] = field(default_factory=dict)
    resolved: dict[StorePath, StorePath] = field(default_factory=dict)
    features: Collection[str] = ()
    earlier: dict[StorePath, BuildResult] = field(default_factory=dict)
    located: dict[StorePath, Mapping[str, Realisation]] = field(default_factory=dict)
    dynamic: dict[DerivedPath, tuple[StorePath, str | None]] = field(default_factory=dict)

    def wait_for_stand_ins(self) -> None:
        """Have goals wait for what is fetched in place of derivations."""
        for goal in self.goals.values() if self.stand_ins else ():
            stood = [self.stand_ins.get(path, (path,)) for path in goal.dependencies]
            goal.dependencies = frozenset(path for paths in stood for path in paths if path != goal.path)

    def may_go_on(self, results: Mapping[StorePath, BuildResult], options: BuildOptions) -> bool:
        """Whether another plan can do more: something went well, and nobody minds what didn't."""
        went_well = [results[path].success or results[path] is UNRESOLVED for path in self.goals]
        return any(went_well) and (options.keep_going or all(went_well))

    def result_of(
        self,
        request: DerivedPath,
        results: Mapping[StorePath, BuildResult],
        on_event: Callable[[Event], None],
    ) -> BuildResult:
        """That of a request, from those of all goals; what was promised and not delivered is told of."""
        drv, lacking = self.dynamic.get(request, (request.path, None))
        path = self.makers.get(drv, drv)
        if path in self.resolved and not results[self.resolved[path]].success and lacking is None:
            return of_resolved(self.resolved[path], results[self.resolved[path]])
        path = self.resolved.get(path, path)
        if lacking is not None:
            return _not_obtained(request, results.get(path))
        if request.via and path in results:
            return replace(results[path], drv=drv)
        if path not in self.stand_ins or path in results:
            return results[path]
        failed = next((results[one] for one in self.stand_ins[path] if not results[one].success), None)
        if failed is None:
            outputs = self.derivations[path].output_paths if path in self.derivations else {}
            return BuildResult(BuildStatus.SUBSTITUTED, outputs=outputs)
        why = reason("substitutes")
        said = BuildResult(BuildStatus.TRANSIENT_FAILURE, f"{text_of(why, path)}\n{failed.message}")
        on_event(BuildFailed(path, said.status, said.message, 0.0, why))
        return said


def of_resolved(drv: StorePath, result: BuildResult) -> BuildResult:
    """What a result means for the derivation in whose place `drv` was built."""
    if result.success:
        return result
    return BuildResult(BuildStatus.DEPENDENCY_FAILED, f"build of resolved derivation '{drv}' failed")


def _not_obtained(request: DerivedPath, result: BuildResult | None) -> BuildResult:
    """Of outputs of a derivation that wasn't made."""
    if result is not None and result.status is BuildStatus.INPUT_REJECTED:
        return result
    name = "^".join((request.path.text, *request.via))
    return BuildResult(BuildStatus.DEPENDENCY_FAILED, f"failed to obtain derivation of '{name}'")


def missing(found: Plan) -> Missing:
    """What carrying out a plan would do."""
    unknown = {path for path, result in found.settled.items() if not result.success}
    offers = [goal.offer for goal in found.goals.values() if goal.offer is not None]
    built = {path for path, goal in found.goals.items() if goal.offer is None}
    named = {drv for drv, path in found.resolved.items() if path in built}
    return Missing(
        will_build=frozenset(built.difference(found.resolved.values()) | named),
        will_substitute=frozenset(offer.path for offer in offers),
        unknown=frozenset(unknown),
        download_size=sum(offer.size for offer in offers),
        nar_size=sum(offer.info.nar_size for offer in offers),
    )
