"""The store as a plan sees it: what a graph of derivations needs is looked up level by level, at once.

Every question that planning asks is answered from what was seen, or else by the store. Paths that were
looked up are temporary roots, or sources of derivations that are: what was valid stays so.

Cost: some queries and one gate of the collector per level; for each derivation its file, which is
opened once; an lstat for each other path that is valid.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

from fruix.errors import FruixError
from fruix.model.aterm.outline import Outline, OutlineReader
from fruix.model.derivation import Derivation
from fruix.model.derivedpath import meant
from fruix.model.storepath import StorePath, base_names
from fruix.store import LocalStore
from fruix.store.memory import charge
from fruix.store.tree.interruption import check_interrupt

Wanted = Mapping[StorePath, Collection[str]]
# Of a derivation: outputs that are wanted, paths that it needs, derivations that it needs.
_Needs = tuple[Sequence[StorePath], Sequence[StorePath], Iterable[tuple[StorePath, Collection[str]]]]
# Of one that has an outline: that, and its outputs that are wanted.
_Head = tuple[StorePath, Outline, Sequence[StorePath]]
_Names = dict[StorePath, Collection[str]]

# What a path is: not valid; valid, but its files were deleted by hand; there.
_INVALID, _GONE, _THERE = range(3)
_OUTLINE, _INPUT = 1000, 60  # bytes that one takes in a plan, and more for each input
_UNCHARGED = 1 << 16  # what outlines take is charged together up to this many bytes


class Seen:
    """Of one plan; `local` is what it asks.

    `outlines`: of derivations of which a plan needs no more than that.

    `unbuilt`: those of them of whose outputs none is valid, and whose sources are all there.
    """

    def __init__(self, store: LocalStore, *, outlined: bool = False) -> None:
        """`outlined`: whether usual derivations are only read as far as plans need them."""
        self.local = store
        self.outlines: dict[StorePath, Outline] = {}
        self.unbuilt: set[StorePath] = set()
        self._reader = OutlineReader(store.directory) if outlined else None
        self._state: dict[StorePath, int] = {}
        self._derivations: dict[StorePath, Derivation] = {}

    def look_up(self, wanted: Wanted, is_offered: Callable[[StorePath], bool]) -> None:
        """Look at derivations, and at what those need whose outputs are neither here nor offered."""
        done: dict[StorePath, Collection[str]] = {}
        while wanted:
            check_interrupt()
            self.local.temp_roots.add_all(wanted)
            self._look(wanted, files=self._reader is None)
            heads, here = self._heads(wanted), [*self._needs(wanted)]
            outputs = [path for chosen, _, _ in here for path in chosen]
            for _, _, chosen in heads:
                outputs += chosen
            self.local.temp_roots.add_all(outputs)
            sources = {path for _, outline, _ in heads for path in outline.sources}
            self._look([*outputs, *sources, *(path for _, paths, _ in here for path in paths)])
            below: dict[StorePath, Collection[str]] = {}
            for chosen, _, inputs in here:
                if not chosen or not all(self.is_there(path) or is_offered(path) for path in chosen):
                    _add(below, inputs, done)
            self._below(heads, below, done)
            wanted = below

    def _heads(self, wanted: Wanted) -> list[_Head]:
        """Of those that are there and usual."""
        heads: list[_Head] = []
        size = 0  # what they take and was not charged
        for drv, names in wanted.items() if self._reader is not None else ():
            outline = self.outlines.get(drv) or self._outline(drv)
            if outline is not None:
                heads.append((drv, outline, outline.paths(names)))
                size += _OUTLINE + _INPUT * len(outline.inputs)
            if size >= _UNCHARGED:
                check_interrupt()
                charge(size)
                size = 0
        charge(size)
        return heads

    def _below(self, heads: list[_Head], below: _Names, done: _Names) -> None:
        """Put down what those need whose outputs are not here, and was not looked at yet."""
        state, good = self._state, None
        for drv, outline, chosen in heads:
            known = [state[path] for path in chosen]
            if known and known.count(_THERE) == len(known):
                continue
            if outline.sources is good or self.are_there(outline.sources):
                good = outline.sources
                if chosen is outline.outputs and known.count(_INVALID) == len(known):
                    self.unbuilt.add(drv)
            for path, names in zip(outline.inputs, outline.wanted, strict=True):
                before = done.get(path)
                if before is None:
                    done[path] = below[path] = names
                elif before is not names and add_names(done, path, names):
                    below[path] = done[path]

    def _look(self, paths: Iterable[StorePath], *, files: bool = True) -> None:
        """Look at what wasn't looked at yet; without `files`, reading them tells whether they are there."""
        state = self._state
        new = [path for path in dict.fromkeys(paths) if path not in state]
        state.update(dict.fromkeys(new, _INVALID))
        valid = self.local.valid_paths(new)
        there = not files or self.local.have_files(base_names(valid))
        for path in valid:
            state[path] = _THERE if there or self.local.has_files(path) else _GONE

    def _needs(self, wanted: Wanted) -> Iterator[_Needs]:
        """Of those that are there and have no outline."""
        for drv, names in wanted.items():
            if drv not in self.outlines and (derivation := self._read(drv)) is not None:
                yield _outputs(derivation, names), derivation.input_srcs, derivation.input_drvs.items()

    def _outline(self, drv: StorePath) -> Outline | None:
        """None if it isn't here, or not usual."""
        if self._reader is None or self._state[drv] != _THERE or not drv.text.endswith(".drv"):
            return None
        known = self.local.known_derivation(drv)
        try:
            found = Outline.of(known) if known else self._reader.read(self.local.derivation_text(drv))
        except FruixError:  # it is gone, or no plain file
            found = None
        if (known or not found) and not self.local.has_files(drv):
            self._state[drv], found = _GONE, None
        if found is not None:
            self.outlines[drv] = found
        return found

    def _read(self, drv: StorePath) -> Derivation | None:
        """None if it isn't here or is none: whoever plans with it finds out why."""
        if drv not in self._derivations and drv.is_derivation and self._state[drv] == _THERE:
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
        seen = self._state.get(path)
        return self.local.is_valid(path) if seen is None else seen != _INVALID

    def is_there(self, path: StorePath) -> bool:
        """See `LocalStore.is_there`."""
        seen = self._state.get(path)
        return self.local.is_there(path) if seen is None else seen == _THERE

    def are_there(self, paths: Sequence[StorePath]) -> bool:
        """Whether all are."""
        seen = [self._state.get(path) for path in paths]
        return seen.count(_THERE) == len(seen) or (None in seen and all(map(self.is_there, paths)))

    def absent(self, paths: Collection[StorePath]) -> list[StorePath]:
        """See `LocalStore.absent`."""
        if all(path in self._state for path in paths):
            return [path for path in paths if self._state[path] != _THERE]
        return self.local.absent(paths)

    def have_gone(self, paths: Iterable[StorePath]) -> bool:
        """Whether one is registered, but was deleted by hand."""
        return any(self.is_valid(path) and not self.is_there(path) for path in paths)

    def read_derivation(self, path: StorePath) -> Derivation:
        """See `Store.read_derivation`."""
        return self._derivations.get(path) or self.local.read_derivation(path)


def _outputs(derivation: Derivation, names: Collection[str]) -> list[StorePath]:
    """The paths of its outputs among `names` (`*`, or none: all), as far as they are known."""
    paths = (derivation.outputs[name].path for name in meant(names, derivation.outputs))
    return [path for path in paths if path is not None]


def add_names(wanted: dict[StorePath, Collection[str]], drv: StorePath, names: Collection[str]) -> bool:
    """Put down outputs that are wanted of a derivation; whether it or one of them is new.

    Lists that came with outlines stay as they are; most derivations have one output.
    """
    before = wanted.get(drv)
    if before is None:
        wanted[drv] = names
    elif before is names or all(name in before for name in names):
        return False
    else:
        wanted[drv] = {*before, *names}
    return True


def _add(
    below: dict[StorePath, Collection[str]],
    needed: Iterable[tuple[StorePath, Collection[str]]],
    done: dict[StorePath, Collection[str]],
) -> None:
    """Put down what is needed of derivations and was not looked at yet."""
    for drv, names in needed:
        if add_names(done, drv, names):
            below[drv] = done[drv]
