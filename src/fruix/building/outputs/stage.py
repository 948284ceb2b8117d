"""Taking a finished build's outputs out of its reach.

Only after everything of the build is dead and unmounted.

Each declared output must exist; `LocalStore.stage_output` does the rest in one pass: rename (sealed
builds) or copy into fresh inodes (builds that had a network), checks, canonical metadata, hash,
references, and a fixed output's declared hash, before anything gets its final name. What the
derivation declares about its outputs is checked next. Nothing is registered here; if one output is
refused, all are dropped.

All outputs are staged, also those that are valid already; what becomes of them, the mode decides.
No path needs rewriting for that: each build has a store directory of its own, in which every output
has its real name.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from fruix import failpoints
from fruix.building.failures import FailedError, mismatch
from fruix.building.outputs.checks import Mentions, Outputs, check_outputs
from fruix.dataclass import dataclass, replace
from fruix.errors import HashMismatchError
from fruix.model.attributes import Attributes
from fruix.model.attributes import read as read_attributes
from fruix.model.derivation import Derivation
from fruix.model.hashes import Hash
from fruix.model.pathinfo import PathInfo
from fruix.model.reasons import reason
from fruix.model.storepath import StorePath
from fruix.store import LocalStore
from fruix.store.outputs.canonical import Links
from fruix.store.outputs.import_tree import OutputPolicy
from fruix.store.outputs.staged import Staged
from fruix.store.tree.file_contents import SizeBudget

_BY_OTHER_RULES = "another build has made them valid meanwhile, for a client whose rules allow it"


@dataclass(frozen=True, slots=True)
class OutputRules:
    """By which rules outputs are taken.

    Attributes:
        attributes: what the derivation declares about its outputs.
        guix: by the rules of that world.
        build_uid: who owns every file.
        candidates: what they may refer to.
        copy: into fresh inodes.
        keep_wrong: a fixed output with other contents than declared is kept under its true name.
        max_files: in all of them together; 0: no limit.
        max_size: bytes of contents that all of them together may claim to have; 0: no limit.
    """

    attributes: Attributes
    guix: bool
    build_uid: int
    candidates: Collection[StorePath]
    copy: bool
    keep_wrong: bool = False
    max_files: int = 0
    max_size: int = 0


def stage_outputs(
    store: LocalStore,
    derivation: Derivation,
    path: StorePath,
    sources: Mapping[str, str],
    rules: OutputRules,
) -> list[Staged]:
    """Take all outputs of `derivation` (at `path`) into the store's private directory.

    Args:
        store: where they go.
        derivation: whose outputs they are.
        path: its own path.
        sources: output name → where it lies on the host.
        rules: by which rules.

    Returns:
        The outputs with their infos, ready to be published and registered together.

    Raises:
        ObjectRejectedError: an output can't be a store object.
        FailedError: an output is missing, a fixed output has other contents than declared, there
            are too many files or bytes, or an output breaks a rule.
    """
    links = _counted(store, path, sources, rules)
    # Once more while they are read: one that was counted may have grown.
    budget = SizeBudget(rules.max_size or None)
    policy = OutputPolicy(rules.build_uid, rules.candidates, rules.copy, links, budget=budget)
    staged: list[Staged] = []
    try:
        for name, source in sources.items():
            failpoints.reach("take-next" if staged else "take")
            staged.append(_staged(store, derivation, path, name, source, rules, policy))
        infos = dict(zip(sources, (output.info for output in staged), strict=True))
        outputs = Outputs(path, derivation, infos, store, _mentions(staged), rules.guix)
        check_outputs(outputs, rules.attributes)
    except BaseException:  # also `Interrupted`
        drop(staged)
        raise
    return staged


def _counted(store: LocalStore, path: StorePath, sources: Mapping[str, str], rules: OutputRules) -> Links:
    """How often each file of the outputs is linked among them, if they are not too many or too big."""
    links = store.count_links(sources.values(), rules.max_files, rules.max_size)
    if links.too_many:
        raise FailedError(path, reason("files", limit=rules.max_files))
    if links.too_big:
        raise FailedError(path, reason("contents", limit=rules.max_size))
    return links


def _staged(
    store: LocalStore,
    derivation: Derivation,
    path: StorePath,
    name: str,
    source: str,
    rules: OutputRules,
    policy: OutputPolicy,
) -> Staged:
    """One output, taken from `source`."""
    output = derivation.outputs[name]
    assert output.path is not None
    expected = output.content_address if derivation.is_fixed else None
    allowed = () if name in rules.attributes.discard_references else rules.candidates
    policy = replace(policy, candidates=allowed, expected=expected)
    if rules.keep_wrong:
        policy = replace(policy, on_mismatch=lambda info, place: _keep_wrong(store, path, info, place))
    try:
        found = store.stage_output(source, output.path, policy)
    except FileNotFoundError:
        raise _missing(derivation, path, name) from None
    except HashMismatchError as error:
        declared, got = map(Hash.parse, (error.expected, error.got))
        raise mismatch(path, derivation, name, declared, got) from error
    # In Guix's world a fixed output may refer to others; then its path doesn't follow from its
    # contents alone.
    address = None if rules.guix and found.info.references else expected
    return replace(found, info=replace(found.info, deriver=path, ultimate=True, content_address=address))


def _keep_wrong(store: LocalStore, drv: StorePath, info: PathInfo, place: bytes) -> None:
    """Register what isn't what was declared under the name that it has, so that it need not be made again.

    Raises:
        FailedError: it refers to others, so that it has none.
    """
    if info.references:
        raise FailedError(drv, reason("unnameable", name=info.path.name))
    locks = store.try_lock_paths([info.path])
    if locks is not None:
        with locks:
            if not store.is_valid(info.path):
                store.publish(place, info.path)
                store.register([replace(info, deriver=drv, ultimate=True)])


def check_valid(store: LocalStore, derivation: Derivation, path: StorePath, *, guix: bool) -> None:
    """Whether outputs that are valid already could have been made under the rules of this build.

    Raises:
        FailedError: they break one.
        BadDerivationError: what the derivation declares is malformed by these rules.
    """
    attributes = read_attributes(derivation, guix=guix)
    found = {name: store.path_info(output) for name, output in derivation.output_paths.items()}
    infos = {name: info for name, info in found.items() if info is not None}
    try:
        check_outputs(Outputs(path, derivation, infos, store, lambda _path, _others: {}, guix), attributes)
    except FailedError as error:
        raise FailedError(path, error.why, status=error.status, hint=_BY_OTHER_RULES) from None


def _mentions(staged: list[Staged]) -> Mentions:
    """Looks into outputs that nobody else can see yet."""

    def find(path: StorePath, others: Sequence[StorePath]) -> Mapping[StorePath, Sequence[str]]:
        (output,) = (output for output in staged if output.info.path == path)
        return output.mentions(others)

    return find


def drop(staged: list[Staged]) -> None:
    """Delete outputs that nobody wants."""
    for output in staged:
        output.drop()


def _missing(derivation: Derivation, path: StorePath, name: str) -> FailedError:
    why = reason("no-output", output=name, path=str(derivation.outputs[name].path))
    hint = f"the builder has to create ${name}; its log shows what it did instead"
    return FailedError(path, why, hint=hint)
