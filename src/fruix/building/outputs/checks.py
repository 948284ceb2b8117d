"""What a finished build's outputs may refer to, and how big they may be.

It is checked before anything is registered.

Rules are those of the derivation's attributes; besides, outputs may not refer to each other in a
circle, and a fixed output refers to nothing (in Guix's world it may). An error shows the chain by
which a forbidden path is reached, and the files that begin it.

Cost: nothing without rules; rules about requisites walk the closure of the references, one query
per path.
"""

from __future__ import annotations

import graphlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from fruix.building.failures import FailedError
from fruix.dataclass import dataclass
from fruix.errors import BadStorePathError, FruixError
from fruix.model.attributes import Attributes, OutputRules
from fruix.model.derivation import Derivation
from fruix.model.pathinfo import PathInfo
from fruix.model.reasons import reason
from fruix.model.storepath import StorePath
from fruix.model.text import printable
from fruix.store.tree.interruption import check_interrupt

Mentions = Callable[[StorePath, Sequence[StorePath]], Mapping[StorePath, Sequence[str]]]
"""(an output, paths) → files of the output that mention them."""
MOST_SHOWN = 10


class Known(Protocol):
    """The part of the store that checks ask."""

    @property
    def directory(self) -> str:
        """The store directory, absolute, without a slash at its end."""

    def path_info(self, path: StorePath) -> PathInfo | None:
        """What is registered of a path; None if it is not valid."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """The new outputs of a build, by name, and how to look into them."""

    drv: StorePath
    derivation: Derivation
    infos: Mapping[str, PathInfo]
    store: Known
    mentions: Mentions
    guix: bool = False  # by the rules of that world


def check_words(drv: StorePath, derivation: Derivation, attributes: Attributes) -> None:
    """Check before a build that every word in the rules is a store path or an output.

    Raises:
        FailedError: another word.
    """
    for output, rules in attributes.rules.items():
        for words in (
            rules.allowed_references,
            rules.allowed_requisites,
            rules.disallowed_references,
            rules.disallowed_requisites,
        ):
            for word in words or ():
                if _path(word, derivation, drv.directory) is None:
                    valid = ", ".join(sorted(derivation.outputs))
                    raise FailedError(
                        drv, reason("bad-rule", output=output, word=printable(word), valid=valid)
                    )


def check_outputs(outputs: Outputs, attributes: Attributes) -> None:
    """Check the finished outputs by all rules.

    Raises:
        FailedError: an output breaks a rule; the message says which path, by which chain, in which
            files.
    """
    _check_cycles(outputs)
    if outputs.derivation.is_fixed and not outputs.guix:
        _check_fixed(outputs)
    new = {info.path: info for info in outputs.infos.values()}
    for name, rules in attributes.rules.items():
        if name in outputs.infos:
            _Check(outputs, new, outputs.infos[name], rules).run()


def _path(word: str, derivation: Derivation, directory: str) -> StorePath | None:
    output = derivation.outputs.get(word)
    if output is not None:
        return output.path
    try:
        return StorePath.parse(word, directory)
    except BadStorePathError:
        return None


def _check_cycles(outputs: Outputs) -> None:
    if len(outputs.infos) < 2:
        return
    names = {info.path: name for name, info in outputs.infos.items()}
    graph = {
        info.path: [path for path in info.references if path in names and path != info.path]
        for info in outputs.infos.values()
    }
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        cycle: list[StorePath] = error.args[1][:-1]  # each is referred to by the next one
        at = cycle.index(min(cycle, key=lambda path: path if outputs.guix else names[path]))
        path, referrer = cycle[at], cycle[(at + 1) % len(cycle)]
        found = _mentioned(outputs, referrer, path, indent="  ")
        why = reason("cycle", path=str(path), output=names[path], other=names[referrer], found=found)
        hint = "put what both need into one of them, or into a third output"
        raise FailedError(outputs.drv, why, hint=hint) from None


def _check_fixed(outputs: Outputs) -> None:
    (info,) = outputs.infos.values() if outputs.infos else (None,)
    if info is None or not info.references:
        return
    first = info.references[0]
    found = _mentioned(outputs, info.path, first, indent="  ")
    raise FailedError(
        outputs.drv,
        reason("fixed-references", count=len(info.references), path=str(first), found=found),
        hint="remove them from the output; a structured derivation can say"
        " unsafeDiscardReferences.out = true",
    )


def _mentioned(outputs: Outputs, holder: StorePath, path: StorePath, *, indent: str) -> str:
    """A line about the files of `holder` that mention `path`.

    Empty for the top itself, whose name says it all.
    """
    places = [place for place in outputs.mentions(holder, [path]).get(path, ()) if place]
    return f"\n{indent}mentioned in {', '.join(places)}" if places else ""


@dataclass(frozen=True, slots=True)
class _Check:
    """The rules of one output being applied."""

    outputs: Outputs
    new: Mapping[StorePath, PathInfo]
    info: PathInfo
    rules: OutputRules

    def run(self) -> None:
        rules, info = self.rules, self.info
        if rules.max_size is not None and info.nar_size > rules.max_size:
            raise self._refusal("too-large", size=info.nar_size, limit=rules.max_size)
        if rules.max_closure_size is not None:
            self._check_closure_size(rules.max_closure_size)
        references = dict.fromkeys(info.references, info.path)
        self._check(references, rules.allowed_references, rules.disallowed_references)
        if rules.allowed_requisites is not None or rules.disallowed_requisites:
            requisites = self._requisites()
            if rules.ignore_self:
                requisites.pop(info.path, None)
            self._check(requisites, rules.allowed_requisites, rules.disallowed_requisites)

    def _check(
        self,
        found: Mapping[StorePath, StorePath],
        allowed: Iterable[str] | None,
        forbidden: Iterable[str],
    ) -> None:
        """`found`: path → the one that refers to it, on the shortest way from the output."""
        if allowed is not None:
            known = self._paths(allowed)
            self._refuse([path for path in found if path not in known], found)
        known = self._paths(forbidden)
        self._refuse([path for path in found if path in known], found)

    def _paths(self, words: Iterable[str]) -> set[StorePath | None]:
        store = self.outputs.store
        return {_path(word, self.outputs.derivation, store.directory) for word in words}

    def _refuse(self, bad: list[StorePath], referrers: Mapping[StorePath, StorePath]) -> None:
        if not bad:
            return
        bad.sort()
        explained = {path: self._explain(path, referrers) for path in bad[:MOST_SHOWN]}
        more = f"\n  and {len(bad) - MOST_SHOWN} more" if len(bad) > MOST_SHOWN else ""
        raise self._refusal(
            "not-allowed",
            first=str(bad[0]),
            found=explained[bad[0]],
            all="".join(f"\n  {path}{why}" for path, why in explained.items()) + more,
        )

    def _refusal(self, kind: str, **values: str | int) -> FailedError:
        return FailedError(self.outputs.drv, reason(kind, path=str(self.info.path), **values))

    def _explain(self, path: StorePath, referrers: Mapping[StorePath, StorePath]) -> str:
        """By way of which paths, and in which files it begins."""
        chain = [path]
        while (above := referrers[chain[-1]]) != self.info.path:
            chain.append(above)
        by_way = [str(step) for step in reversed(chain[1:])]
        through = f"\n    by way of {', '.join(by_way)}" if by_way else ""
        return _mentioned(self.outputs, self.info.path, chain[-1], indent="    ") + through

    def _requisites(self) -> dict[StorePath, StorePath]:
        """The output itself, and everything that it needs → who refers to it.

        Breadth first, so chains are the shortest.
        """
        found = {self.info.path: self.info.path}
        queue = [self.info.path]
        for path in queue:  # grows
            check_interrupt()
            for reference in self._info(path).references:
                if reference not in found:
                    found[reference] = path
                    queue.append(reference)
        return found

    def _info(self, path: StorePath) -> PathInfo:
        info = self.new.get(path) or self.outputs.store.path_info(path)
        if info is None:
            raise FruixError(f"path '{path}' has vanished while '{self.info.path}' was checked")
        return info

    def _check_closure_size(self, limit: int) -> None:
        sizes = {path: self._info(path).nar_size for path in self._requisites()}
        total = sum(sizes.values())
        if total <= limit:
            return
        biggest = sorted(sizes, key=lambda path: -sizes[path])[:MOST_SHOWN]
        raise self._refusal(
            "closure-too-large",
            size=total,
            limit=limit,
            found="".join(f"\n  {sizes[path]:>12}  {path}" for path in biggest),
        )
