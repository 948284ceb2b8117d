"""What a plan needs of a usual derivation: outputs, inputs and builder, from the head of its text.

For texts that were read whole before they became valid: what stands behind the builder isn't looked
at, nor the order of things. It takes a quarter of the time that reading all takes, and a fraction of
the memory, since what many derivations have in common is one object.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from functools import lru_cache
from typing import NamedTuple, TypeVar

from fruix.late import late_pattern
from fruix.model.derivation import Derivation
from fruix.model.derivedpath import meant
from fruix.model.storepath import BASE, StorePath

_T = TypeVar("_T")

# Names of outputs; of builders, whatever needs no backslash.
_NAME = r"[0-9A-Za-z+\-._?=]++"
_COMMA = '","'
_PLAIN = r'[^"\\]*+'
_INPUT = late_pattern(r'\("([^"]*+)",\["([^]]*)"\]\)')


@lru_cache(maxsize=4)
def _head(directory: str) -> re.Pattern[str]:
    """Everything up to the arguments, with all paths in this store."""
    path = f'"{re.escape(directory)}/{BASE}"'
    # Neither are outputs anew each time, nor are they derivations.
    output = rf'\("{_NAME}",{path},"(?!text:)[a-z0-9:\-]*+","(?!impure")[0-9a-z]*+"\)'
    wanted = rf'\({path},\["{_NAME}"(?:,"{_NAME}")*+\]\)'
    lists = (
        rf"({output}(?:,{output})*+)",
        rf"((?:{wanted}(?:,{wanted})*+)?+)",
        rf"((?:{path}(?:,{path})*+)?+)",
    )
    return re.compile(rf'Derive\(\[{lists[0]}\],\[{lists[1]}\],\[{lists[2]}\],"{_PLAIN}","({_PLAIN})",\[')


class Outline(NamedTuple):
    """Of a derivation all of whose outputs have paths, and that is in no way experimental.

    Attributes:
        names: of its outputs.
        outputs: their paths, in the same order.
        inputs: input derivations.
        wanted: which outputs are needed of each.
        sources: other inputs.
        builder: the program, or `builtin:` and a name.
    """

    names: tuple[str, ...]
    outputs: tuple[StorePath, ...]
    inputs: tuple[StorePath, ...]
    wanted: tuple[tuple[str, ...], ...]
    sources: tuple[StorePath, ...]
    builder: str

    @classmethod
    def of(cls, derivation: Derivation) -> Outline | None:
        """That of a derivation that was read whole; None: it is not usual."""
        if derivation.is_unresolved or derivation.is_impure or derivation.is_dynamic:
            return None
        paths, needed = derivation.output_paths, derivation.input_drvs
        return cls(
            tuple(paths), tuple(paths.values()), tuple(needed), tuple(needed.values()),
            derivation.input_srcs, derivation.builder,
        )  # fmt: skip

    @property
    def output_paths(self) -> dict[str, StorePath]:
        """The outputs with their paths."""
        return dict(zip(self.names, self.outputs, strict=True))

    def paths(self, names: Collection[str]) -> Sequence[StorePath]:
        """Of the outputs among `names` (`*`, or none: all)."""
        if names == self.names:
            return self.outputs
        paths = self.output_paths
        return [paths[name] for name in meant(names, paths)]


class OutlineReader:
    """Reads many texts of one store; equal paths and lists in them are the same objects."""

    def __init__(self, directory: str) -> None:
        """`directory`: the store's, in which all paths must be."""
        self._match = _head(directory).match
        self._paths = _Made(StorePath)  # the pattern has checked them
        self._words = _Made(lambda text: tuple(text.split(_COMMA)))
        self._sources = _Made(self._source_list)
        self._wanted: dict[tuple[tuple[str, ...], ...], tuple[tuple[str, ...], ...]] = {}
        self._builders: dict[str, str] = {}

    def read(self, data: bytes) -> Outline | None:
        """The outline of a text; None: it is not usual, or no derivation."""
        head = self._match(data.decode("latin-1"))  # what is taken of it is ASCII, but for the builder
        if head is None or not head[4].isascii():
            return None
        outputs, inputs, sources, builder = head.groups()
        path, words = self._paths.__getitem__, self._words.__getitem__
        parts = outputs.split('"')
        names = parts[1] if len(parts) == 9 else _COMMA.join(parts[1::8])
        drvs, needed = _pairs(inputs)
        wanted = tuple(map(words, needed))
        return Outline(
            words(names),
            tuple(map(path, parts[3::8])),
            tuple(map(path, drvs)),
            self._wanted.setdefault(wanted, wanted),
            self._sources[sources],
            self._builders.setdefault(builder, builder),
        )

    def _source_list(self, text: str) -> tuple[StorePath, ...]:
        return tuple([self._paths[one] for one in text[1:-1].split(_COMMA) if one])


class _Made(dict[str, _T]):
    """What is made of texts: of each once."""

    def __init__(self, make: Callable[[str], _T]) -> None:
        self._make = make

    def __missing__(self, text: str) -> _T:
        made = self[text] = self._make(text)
        return made


def _pairs(inputs: str) -> tuple[Sequence[str], Sequence[str]]:
    """The paths of input derivations, and the outputs that are needed of each: names, between `","`."""
    parts = inputs.split('"')
    if len(parts) == 4 * inputs.count('",["') + 1:  # one output of each
        return parts[1::4], parts[3::4]
    found = _INPUT.findall(inputs)
    return [path for path, _ in found], [names for _, names in found]
