"""What binary caches offer of a request, looked up before anything is planned in detail.

The walk goes level by level, from what is asked for to what that needs, so that caches are asked
for many paths at once. What is offered with all that it refers to is *usable*: it is fetched, and
what would have built it is not looked at. An offer some of whose references nobody has is as good
as none. Nothing is changed but temporary roots.

Cost: a question to each cache per path that isn't here, and a sandbox per level and 512 paths.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from fruix.dataclass import dataclass, field
from fruix.errors import BadDerivationError, FruixError
from fruix.model import attributes
from fruix.model.contentaddress import ContentAddress
from fruix.model.derivation import Derivation
from fruix.model.derivedpath import ALL, DerivedPath, meant
from fruix.model.realisation import Realisation, realisation_id
from fruix.model.storepath import StorePath
from fruix.store import LocalStore
from fruix.store.tree.interruption import check_interrupt
from fruix.substitutes.substituter import Found, Offer

# Asks caches for paths, some of them with known contents.
Query = Callable[[Collection[StorePath], Mapping[StorePath, ContentAddress]], Found]
# Asks them where outputs are, by their ids.
Locate = Callable[[Collection[str]], Mapping[str, Realisation]]


def _nowhere(_ids: Collection[str]) -> Mapping[str, Realisation]:
    return {}


@dataclass(slots=True)
class Offers:
    """What was found.

    `refused`: paths that were promised before and not delivered, which count as not offered.
    `damaged`: paths that are here, and not what they should be. `nobody`: there is no cache to be
    asked.
    """

    store: LocalStore
    query: Query
    refused: Collection[StorePath] = ()
    damaged: set[StorePath] = field(default_factory=set)
    locate: Locate = _nowhere
    nobody: bool = False
    _located: dict[str, Realisation | None] = field(default_factory=dict)
    _known: dict[StorePath, Offer | None] = field(default_factory=dict)
    _usable: dict[StorePath, bool] = field(default_factory=dict)

    def ask(
        self, paths: Iterable[StorePath], addresses: Mapping[StorePath, ContentAddress] | None = None
    ) -> None:
        """Look up paths, and whatever they refer to."""
        level = {path for path in paths if self._is_new(path)}
        while level:
            check_interrupt()
            for path in level:
                self.store.add_temp_root(path)
            found = self.query(level, addresses or {})
            self._known.update({path: found.offers.get(path) for path in level})
            level = {
                reference
                for offer in found.offers.values()
                for reference in offer.info.references
                if self._is_new(reference)
            }
        self._judge()

    def get(self, path: StorePath) -> Offer | None:
        """A usable offer."""
        return self._known.get(path) if self._usable.get(path) else None

    def located(self, derivation: Derivation, names: Collection[str]) -> dict[str, Realisation]:
        """Where caches say outputs are whose paths nobody here knows; nothing, if they don't know all."""
        if not derivation.is_unresolved or derivation.is_impure or not may_be_fetched(derivation):
            return {}
        known, identity = self.store.realised(derivation), self.store.derivation_identity(derivation)
        wanted = derivation.outputs if not names or ALL[0] in names else names
        ids = {name: realisation_id(identity, name) for name in wanted if name not in known}
        new = [one for one in ids.values() if one not in self._located]
        answers = self.locate(new) if new else {}
        self._located.update({one: answers.get(one) for one in new})
        found = {name: answer for name, one in ids.items() if (answer := self._located[one]) is not None}
        return found if len(found) == len(ids) else {}

    def is_here(self, path: StorePath) -> bool:
        """Whether a path needs nobody's help."""
        return path not in self.damaged and self.store.is_there(path)

    def _is_new(self, path: StorePath) -> bool:
        return path not in self._known and path not in self.refused and not self.is_here(path)

    def _judge(self) -> None:
        """Find the offers that lack nothing: those that lack something make others lack it, until no more do.

        Cost: once through all references.
        """
        lacking: list[StorePath] = []
        referrers: dict[StorePath, list[StorePath]] = {}
        for path, offer in self._known.items():
            self._usable[path] = offer is not None
            for reference in offer.info.references if offer is not None else ():
                if reference == path:
                    continue
                referrers.setdefault(reference, []).append(path)
                if reference not in self._known and not self.is_here(reference):
                    lacking.append(path)
        lacking += [path for path, offer in self._known.items() if offer is None]
        while lacking:
            path = lacking.pop()
            self._usable[path] = False
            lacking += [one for one in referrers.get(path, ()) if self._usable[one]]


def no_offers(store: LocalStore) -> Offers:
    """What is found when nobody is asked."""
    return Offers(store, lambda _paths, _addresses: Found(), nobody=True)


def gather(offers: Offers, requests: Iterable[DerivedPath]) -> None:
    """Look up what `requests` need, level by level; nothing to do where nobody can be asked."""
    if offers.nobody:
        return
    paths: set[StorePath] = set()
    wanted: dict[StorePath, set[str]] = {}
    for request in requests:
        if request.outputs is None:
            paths.add(request.path)
        else:
            wanted.setdefault(request.path, set()).update(request.via[:1] or request.outputs)
    _Walk(offers, paths, wanted).run()


@dataclass(slots=True)
class _Walk:
    """What is to be looked at on the next level."""

    offers: Offers
    paths: set[StorePath]
    wanted: dict[StorePath, set[str]]
    _done: dict[StorePath, set[str]] = field(default_factory=dict)

    def run(self) -> None:
        while self.paths or self.wanted:
            check_interrupt()
            paths, wanted, self.paths, self.wanted = self.paths, self.wanted, set(), {}
            here = {drv: self._read(drv) for drv in wanted}
            outputs = {drv: _missing(self.offers.store, here[drv], wanted[drv]) for drv in wanted}
            asked = {drv: found for drv, found in outputs.items() if may_be_fetched(here[drv])}
            paths |= {drv for drv, derivation in here.items() if derivation is None}
            addresses = {path: address for drv in asked for path, address in _addresses(here[drv])}
            self.offers.ask([*paths, *(path for found in asked.values() for path in found)], addresses)
            for drv, derivation in here.items():
                if derivation is not None and not self._is_settled(
                    derivation, wanted[drv], outputs[drv], asked=drv in asked
                ):
                    self._need(derivation)

    def _read(self, drv: StorePath) -> Derivation | None:
        """A derivation, or None if it isn't here; what is wrong with it the plan will say."""
        store = self.offers.store
        try:
            return store.read_derivation(drv) if store.is_there(drv) else None
        except (FruixError, FileNotFoundError):
            return None

    def _is_settled(
        self, derivation: Derivation, names: Collection[str], missing: Collection[StorePath], *, asked: bool
    ) -> bool:
        """Whether nothing has to be built for it."""
        if not derivation.is_unresolved:
            return self._is_covered(missing, asked)
        found = self.offers.located(derivation, names)
        self.offers.ask([one.path for one in found.values()])
        return bool(found) and all(
            self.offers.is_here(one.path) or self.offers.get(one.path) for one in found.values()
        )

    def _is_covered(self, missing: Collection[StorePath], asked: bool) -> bool:
        return not missing or (asked and all(self.offers.get(path) is not None for path in missing))

    def _need(self, derivation: Derivation) -> None:
        """It has to be built: its inputs are the next level."""
        self.paths |= set(self.offers.store.absent(derivation.input_srcs))
        for drv, names in derivation.needed.items():
            seen = self._done.setdefault(drv, set())
            if new := set(names) - seen:
                seen |= new
                self.wanted.setdefault(drv, set()).update(new)


def missing_outputs(store: LocalStore, derivation: Derivation, names: Collection[str]) -> list[StorePath]:
    """The outputs among `names` (`*`: all) that aren't here."""
    chosen = derivation.output_paths
    return [chosen[name] for name in meant(names, chosen) if not store.is_there(chosen[name])]


def _missing(store: LocalStore, derivation: Derivation | None, names: Collection[str]) -> list[StorePath]:
    return [] if derivation is None else missing_outputs(store, derivation, names)


def may_be_fetched(derivation: Derivation | None) -> bool:
    """Whether it lets its outputs be taken from caches."""
    try:
        return derivation is not None and attributes.read(derivation).allow_substitutes
    except BadDerivationError:
        return False  # its build will say what is wrong


def _addresses(derivation: Derivation | None) -> Iterator[tuple[StorePath, ContentAddress]]:
    """The outputs whose contents are declared."""
    if derivation is None or not derivation.is_fixed:
        return
    output = derivation.outputs["out"]
    try:
        address = output.content_address
    except FruixError:
        return
    if output.path is not None and address is not None:
        yield output.path, address
