"""Derivations: a builder, its arguments and environment, its inputs and the outputs it promises.

A value; the text form is in `aterm`, hashes and output paths in `drvhash`. Texts are bytes kept as
`str` (see `text`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fruix.dataclass import dataclass, field
from fruix.model.contentaddress import ContentAddress, parse_output_method
from fruix.model.hashes import Hash
from fruix.model.storepath import StorePath, in_order

IMPURE = "impure"


@dataclass(frozen=True, slots=True)
class DerivationOutput:
    """One output as the file has it.

    `path` None: not known before the build; `method_algorithm` and `hash` (base16) both set: fixed
    output; `IMPURE` in the place of the hash: named by its contents, and made anew each time.
    """

    path: StorePath | None
    method_algorithm: str = ""
    hash: str = ""

    @property
    def is_fixed(self) -> bool:
        """Whether the contents are declared."""
        return bool(self.hash) and self.hash != IMPURE

    @property
    def content_address(self) -> ContentAddress | None:
        """The declared contents of a fixed output.

        Raises:
            FormatError: unknown method or algorithm, or a malformed hash.
        """
        if not self.is_fixed:
            return None
        method, algorithm = parse_output_method(self.method_algorithm)
        return ContentAddress(method, Hash.parse(self.hash, algorithm))


@dataclass(frozen=True, slots=True)
class Dynamic:
    """What is needed of a derivation: outputs, and outputs of those that are derivations."""

    outputs: tuple[str, ...]
    below: Mapping[str, Dynamic] = field(default_factory=dict)

    def chains(self, before: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        """The names of outputs that lead to each output that is needed."""
        for name in self.outputs:
            yield (*before, name)
        for name, node in self.below.items():
            yield from node.chains((*before, name))


@dataclass(frozen=True, slots=True)
class Derivation:
    """What to build. `name` is the store path's name without `.drv` (not the variable `name`).

    `dynamic`: input derivations, and their outputs that are derivations in turn whose outputs are
    needed; each is among `input_drvs` too, perhaps without an output.
    """

    name: str
    outputs: Mapping[str, DerivationOutput]
    input_drvs: Mapping[StorePath, tuple[str, ...]]
    input_srcs: tuple[StorePath, ...]
    system: str
    builder: str
    args: tuple[str, ...]
    env: Mapping[str, str]
    dynamic: Mapping[StorePath, Mapping[str, Dynamic]] = field(default_factory=dict)

    @property
    def is_fixed(self) -> bool:
        """Fixed-output in the strict sense: one output, `out`, with declared contents."""
        return len(self.outputs) == 1 and "out" in self.outputs and self.outputs["out"].is_fixed

    @property
    def is_floating(self) -> bool:
        """Whether outputs are named by contents that nobody knows before the build."""
        floating = [out for out in self.outputs.values() if out.method_algorithm and not out.is_fixed]
        return bool(floating)

    @property
    def is_impure(self) -> bool:
        """Whether it is built anew each time: what it makes may be something else each time."""
        return IMPURE in [output.hash for output in self.outputs.values()]

    @property
    def is_dynamic(self) -> bool:
        """Whether it makes derivations, or needs outputs of derivations that are made."""
        return bool(self.dynamic) or any(
            output.method_algorithm.startswith("text:") for output in self.outputs.values()
        )

    @property
    def is_open(self) -> bool:
        """Whether its builder may have a network, and variables of the daemon."""
        return self.is_fixed or self.is_impure

    @property
    def is_unresolved(self) -> bool:
        """Whether output paths don't follow from it: it is floating, or depends on such."""
        return None in [output.path for output in self.outputs.values()]

    @property
    def needed(self) -> Mapping[StorePath, tuple[str, ...]]:
        """Input derivations, and which of their outputs are needed, be it only as derivations."""
        if not self.dynamic:
            return self.input_drvs
        rest = ((drv, names, self.dynamic.get(drv, ())) for drv, names in self.input_drvs.items())
        return {drv: tuple(sorted({*names, *below})) for drv, names, below in rest}

    @property
    def chains(self) -> Iterator[tuple[StorePath, tuple[str, ...]]]:
        """Input derivations, and the names of outputs that lead to each output that is needed."""
        for drv, names in self.input_drvs.items():
            for chain in Dynamic(names, self.dynamic.get(drv, {})).chains(()):
                yield drv, chain

    @property
    def references(self) -> tuple[StorePath, ...]:
        """What the .drv file refers to: input derivations and sources, sorted."""
        return in_order({*self.input_drvs, *self.input_srcs})

    @property
    def output_paths(self) -> Mapping[str, StorePath]:
        """The outputs whose paths are known."""
        return {name: output.path for name, output in self.outputs.items() if output.path is not None}
