"""What a client can ask to be built: a store path as such, or outputs of a derivation."""

from __future__ import annotations

from typing import Self

from fruix.dataclass import dataclass
from fruix.errors import UsageError
from fruix.model.storepath import DEFAULT_STORE, StorePath

ALL = ("*",)
MOST_OUTPUTS = 1 << 10
_SEPARATOR = "!"


@dataclass(frozen=True, slots=True, order=True)
class DerivedPath:
    """`outputs` None: the path itself; `ALL`: every output; else the names of outputs."""

    path: StorePath
    outputs: tuple[str, ...] | None = None

    def __str__(self) -> str:
        return self.path.text if self.outputs is None else f"{self.path}{_SEPARATOR}{','.join(self.outputs)}"

    @classmethod
    def parse_nix(cls, text: str, directory: str = DEFAULT_STORE) -> Self:
        """The form since protocol 1.30: a `.drv` alone means the file itself, `DRV!*` all outputs.

        Raises:
            FruixError: malformed, or an output of an output (dynamic derivations).
        """
        path, separator, outputs = text.partition(_SEPARATOR)
        if not separator:
            return cls(StorePath.parse(path, directory))
        return cls(StorePath.parse(path, directory), _outputs(outputs, text))

    @classmethod
    def parse_guix(cls, text: str, directory: str = DEFAULT_STORE) -> Self:
        """The older form, Guix's too: a `.drv` alone means all its outputs.

        Raises:
            FruixError: malformed.
        """
        parsed = cls.parse_nix(text, directory)
        if parsed.outputs is None and parsed.path.is_derivation:
            return cls(parsed.path, ALL)
        return parsed


def _outputs(text: str, whole: str) -> tuple[str, ...]:
    if _SEPARATOR in text or "^" in text:
        raise UsageError(
            f"'{whole}' asks for an output of an output: "
            "experimental Nix feature 'dynamic-derivations' is disabled"
        )
    if text.count(",") >= MOST_OUTPUTS:
        raise UsageError(f"more than {MOST_OUTPUTS} outputs of a derivation are asked for")
    names = tuple(text.split(","))
    if not all(names):
        raise UsageError(f"'{whole}' has an empty output name", hint="like DRV!out,lib or DRV!*")
    return ALL if "*" in names else tuple(sorted(set(names)))
