"""What a plan needs of a usual derivation: outputs, inputs and builder, from the head of its text.

For texts that were read whole before they became valid: what stands behind the builder isn't looked
at, nor the order of things. It takes a quarter of the time that reading all takes, and a fraction of
the memory, since what many derivations have in common is one object.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import NamedTuple

from fruix.late import late_pattern
from fruix.model.derivation import Derivation
from fruix.model.derivedpath import meant
from fruix.model.storepath import BASE, StorePath

# Names of outputs; of builders, whatever needs no backslash.
_NAME = r"[0-9A-Za-z+\-._?=]++"
_COMMA = '","'
_PLAIN = r'[^"\\]*+'
_INPUT = late_pattern(r'\("([^"]*+)",\[([^]]*+)\]\)')


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
        self._paths: dict[str, StorePath] = {}
        self._words: dict[str, tuple[str, ...]] = {}
        self._sources: dict[str, tuple[StorePath, ...]] = {}
        self._builders: dict[str, str] = {}

    def read(self, data: bytes) -> Outline | None:
        """The outline of a text; None: it is not usual, or no derivation."""
        head = self._match(data.decode("latin-1"))  # what is taken of it is ASCII, but for the builder
        if head is None or not head[4].isascii():
            return None
        outputs, inputs, sources, builder = head.groups()
        parts, pairs = outputs.split('"'), _INPUT.findall(inputs)
        paths, words = self._paths, self._words
        names = f'"{parts[1]}"' if len(parts) == 9 else f'"{_COMMA.join(parts[1::8])}"'
        return Outline(
            words.get(names) or self._listed(names),
            tuple([paths.get(text) or self._path(text) for text in parts[3::8]]),
            tuple([paths.get(text) or self._path(text) for text, _ in pairs]),
            tuple([words.get(text) or self._listed(text) for _, text in pairs]),
            self._sources.get(sources) or self._source_list(sources),
            self._builders.setdefault(builder, builder),
        )

    def _path(self, text: str) -> StorePath:
        found = self._paths[text] = StorePath(text)  # the pattern has checked it
        return found

    def _listed(self, text: str) -> tuple[str, ...]:
        return self._words.setdefault(text, tuple(text[1:-1].split(_COMMA)))

    def _source_list(self, text: str) -> tuple[StorePath, ...]:
        paths = [self._paths.get(one) or self._path(one) for one in text[1:-1].split(_COMMA) if one]
        return self._sources.setdefault(text, tuple(paths))
