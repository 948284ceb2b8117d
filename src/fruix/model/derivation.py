"""Derivations: a builder, its arguments and environment, its inputs and the outputs it promises.

A value; the text form is in `aterm`, hashes and output paths in `drvhash`. Texts are bytes kept as
`str` (see `text`).
"""

from __future__ import annotations

from collections.abc import Mapping

from fruix.dataclass import dataclass
from fruix.model.contentaddress import ContentAddress, parse_output_method
from fruix.model.hashes import Hash
from fruix.model.storepath import StorePath

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
class Derivation:
    """What to build. `name` is the store path's name without `.drv` (not the variable `name`)."""

    name: str
    outputs: Mapping[str, DerivationOutput]
    input_drvs: Mapping[StorePath, tuple[str, ...]]
    input_srcs: tuple[StorePath, ...]
    system: str
    builder: str
    args: tuple[str, ...]
    env: Mapping[str, str]

    @property
    def is_fixed(self) -> bool:
        """Fixed-output in the strict sense: one output, `out`, with declared contents."""
        return len(self.outputs) == 1 and "out" in self.outputs and self.outputs["out"].is_fixed

    @property
    def is_floating(self) -> bool:
        """Whether outputs are named by contents that nobody knows before the build."""
        return any(output.method_algorithm and not output.is_fixed for output in self.outputs.values())

    @property
    def is_impure(self) -> bool:
        """Whether it is built anew each time: what it makes may be something else each time."""
        return any(output.hash == IMPURE for output in self.outputs.values())

    @property
    def is_open(self) -> bool:
        """Whether its builder may have a network, and variables of the daemon."""
        return self.is_fixed or self.is_impure

    @property
    def is_unresolved(self) -> bool:
        """Whether output paths don't follow from it: it is floating, or depends on such."""
        return any(output.path is None for output in self.outputs.values())

    @property
    def references(self) -> tuple[StorePath, ...]:
        """What the .drv file refers to: input derivations and sources, sorted."""
        return tuple(sorted({*self.input_drvs, *self.input_srcs}))

    @property
    def output_paths(self) -> Mapping[str, StorePath]:
        """The outputs whose paths are known."""
        return {name: output.path for name, output in self.outputs.items() if output.path is not None}
