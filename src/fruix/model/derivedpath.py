"""What a client can ask to be built: a store path as such, or outputs of a derivation."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Self

from fruix.dataclass import dataclass
from fruix.errors import UsageError
from fruix.model.storepath import DEFAULT_STORE, StorePath, check_name

ALL = ("*",)
MOST_OUTPUTS = 1 << 10
_SEPARATOR = "!"
_MOST_STEPS = 64


def meant(names: Collection[str], outputs: Iterable[str]) -> list[str]:
    """Those of a derivation's outputs that `names` stand for: `*`, or none, for all."""
    everything = not names or ALL[0] in names
    return [name for name in outputs if everything or name in names]


@dataclass(frozen=True, slots=True, order=True)
class DerivedPath:
    """`outputs` None: the path itself; `ALL`: every output; else the names of outputs.

    `via`: outputs that lead to the derivation that is meant, if it is an output itself: the output of
    `path` of that name, the output of that, and so on.
    """

    path: StorePath
    outputs: tuple[str, ...] | None = None
    via: tuple[str, ...] = ()

    def __str__(self) -> str:
        words = (self.path.text, *self.via)
        return _SEPARATOR.join(words if self.outputs is None else (*words, ",".join(self.outputs)))

    @classmethod
    def parse_nix(cls, text: str, directory: str = DEFAULT_STORE) -> Self:
        """The form since protocol 1.30: a `.drv` alone means the file itself, `DRV!*` all outputs.

        `DRV!out!out` is an output of an output.

        Raises:
            FruixError: malformed.
        """
        path, *words = text.split(_SEPARATOR)
        if not words:
            return cls(StorePath.parse(path, directory))
        *via, outputs = words
        if len(via) > _MOST_STEPS:
            raise UsageError(
                f"'{text[:200]}…' asks for an output of more than {_MOST_STEPS} derivations in turn"
            )
        for name in via:
            check_name(name)
        return cls(StorePath.parse(path, directory), _outputs(outputs, text), tuple(via))

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

    def guix_text(self) -> str:
        """What `parse_guix` reads."""
        return self.path.text if self.outputs == ALL and not self.via else str(self)


def _outputs(text: str, whole: str) -> tuple[str, ...]:
    if "^" in text:
        raise UsageError(f"'{whole}' has an output name with '^'")
    if text.count(",") >= MOST_OUTPUTS:
        raise UsageError(f"more than {MOST_OUTPUTS} outputs of a derivation are asked for")
    names = tuple(text.split(","))
    if not all(names):
        raise UsageError(f"'{whole}' has an empty output name", hint="like DRV!out,lib or DRV!*")
    return ALL if "*" in names else tuple(sorted(set(names)))
