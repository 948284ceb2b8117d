"""The store as a plan sees it: what a graph of derivations needs is looked up level by level, at once.

Every question that planning asks is answered from what was seen, or else by the store. Paths that were
looked up are temporary roots, or sources of derivations that are: what was valid stays so.

Cost: some queries and one gate of the collector per level, one lstat per path.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from fruix.errors import FruixError
from fruix.model.derivation import Derivation
from fruix.model.derivedpath import meant
from fruix.model.storepath import StorePath
from fruix.store import LocalStore
from fruix.store.tree.interruption import check_interrupt

Wanted = Mapping[StorePath, Collection[str]]


class Seen:
    """Of one plan; `local` is what it asks."""

    def __init__(self, store: LocalStore) -> None:
        self.local = store
        self._valid: dict[StorePath, bool] = {}
        self._there: dict[StorePath, bool] = {}
        self._derivations: dict[StorePath, Derivation] = {}

    def look_up(self, wanted: Wanted, is_offered: Callable[[StorePath], bool]) -> None:
        """Look at derivations, and at what those need whose outputs are neither here nor offered."""
        done: dict[StorePath, set[str]] = {}
        while wanted:
            check_interrupt()
            self.local.temp_roots.add_all(wanted)
            self._look(wanted)
            read = [(self._read(drv), names) for drv, names in wanted.items()]
            here = [(derivation, names) for derivation, names in read if derivation is not None]
            outputs = [path for derivation, names in here for path in _outputs(derivation, names)]
            self.local.temp_roots.add_all(outputs)
            self._look([*outputs, *(path for derivation, _ in here for path in derivation.input_srcs)])
            below: dict[StorePath, set[str]] = {}
            for derivation, names in here:
                chosen = _outputs(derivation, names)
                if not chosen or not all(self._there[path] or is_offered(path) for path in chosen):
                    _add(below, derivation.input_drvs, done)
            wanted = below

    def _look(self, paths: Iterable[StorePath]) -> None:
        new = [path for path in dict.fromkeys(paths) if path not in self._valid]
        valid = self.local.valid_paths(new)
        for path in new:
            self._valid[path] = path in valid
            self._there[path] = path in valid and self.local.has_files(path)

    def _read(self, drv: StorePath) -> Derivation | None:
        """None if it isn't here or is none: whoever plans with it finds out why."""
        if drv not in self._derivations and drv.is_derivation and self._there[drv]:
            try:
                self._derivations[drv] = self.local.valid_derivation(drv)
            except (FruixError, FileNotFoundError):
                return None
        return self._derivations.get(drv)

    # What the store is asked, by the same names

    def add_temp_root(self, path: StorePath) -> None:
        """See `Store.add_temp_root`."""
        self.local.add_temp_root(path)

    def is_valid(self, path: StorePath) -> bool:
        """See `Store.is_valid`."""
        seen = self._valid.get(path)
        return self.local.is_valid(path) if seen is None else seen

    def is_there(self, path: StorePath) -> bool:
        """See `LocalStore.is_there`."""
        seen = self._there.get(path)
        return self.local.is_there(path) if seen is None else seen

    def absent(self, paths: Collection[StorePath]) -> list[StorePath]:
        """See `LocalStore.absent`."""
        if all(path in self._there for path in paths):
            return [path for path in paths if not self._there[path]]
        return self.local.absent(paths)

    def has_gone(self, derivation: Derivation) -> bool:
        """Whether an output is registered, but was deleted by hand."""
        paths = derivation.output_paths.values()
        return any(self.is_valid(path) and not self.is_there(path) for path in paths)

    def read_derivation(self, path: StorePath) -> Derivation:
        """See `Store.read_derivation`."""
        return self._derivations.get(path) or self.local.read_derivation(path)


def _outputs(derivation: Derivation, names: Collection[str]) -> list[StorePath]:
    """The paths of its outputs among `names` (`*`, or none: all), as far as they are known."""
    paths = (derivation.outputs[name].path for name in meant(names, derivation.outputs))
    return [path for path in paths if path is not None]


def _add(below: dict[StorePath, set[str]], needed: Wanted, done: dict[StorePath, set[str]]) -> None:
    """Put down what is needed of derivations and was not looked at yet."""
    for drv, names in needed.items():
        new = set(names).difference(done.get(drv, ()))
        if new or drv not in done:
            done.setdefault(drv, set()).update(new)
            below.setdefault(drv, set()).update(new)
