"""Content addresses: how the contents of a store object determine its path.

Nix has them in the column and the field `ca`.

text:sha256:<nix32>            text files and derivations
fixed:<algorithm>:<nix32>      the bytes of one regular file ("flat")
fixed:r:<algorithm>:<nix32>    the NAR of any tree
fixed:git:<algorithm>:<nix32>  a git object (experimental in Nix; recognised, not computed)
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

from fruix.dataclass import dataclass
from fruix.errors import FormatError
from fruix.model.hashes import DIGEST_SIZES, Hash
from fruix.model.makepath import Method, fixed_path, text_path
from fruix.model.storepath import DEFAULT_STORE, StorePath

__all__ = [
    "ContentAddress",
    "Method",
    "parse_method",
    "parse_output_method",
    "path_for",
    "render_method",
    "render_output_method",
]

# Method → what stands before the algorithm in every text form.
_PREFIXES: dict[Method, str] = {
    Method.TEXT: "text:",
    Method.NAR: "fixed:r:",
    Method.GIT: "fixed:git:",
    Method.FLAT: "fixed:",
}
_METHODS = {
    prefix + algorithm: (method, algorithm)
    for method, prefix in _PREFIXES.items()
    for algorithm in DIGEST_SIZES
}
# Method → what stands before the algorithm in a derivation's output tuple.
_OUTPUT_PREFIXES: dict[Method, str] = {
    Method.NAR: "r:",
    Method.TEXT: "text:",
    Method.GIT: "git:",
    Method.FLAT: "",
}


def parse_method(text: str) -> tuple[Method, str]:
    """`fixed:r:sha256` → (NAR, sha256): the form in which a client says how to add something.

    Raises:
        FormatError: unknown method or algorithm.
    """
    if found := _METHODS.get(text):
        return found
    raise FormatError(
        f"'{text}' is not a content-address method", hint="like text:sha256, fixed:sha256 or fixed:r:sha256"
    )


def render_method(method: Method, algorithm: str) -> str:
    """`fixed:r:sha256` from (NAR, sha256): the inverse of `parse_method`."""
    return _PREFIXES[method] + algorithm


def parse_output_method(text: str) -> tuple[Method, str]:
    """`r:sha256` → (NAR, sha256): the form in a derivation's output.

    Raises:
        FormatError: unknown method or algorithm.
    """
    for method, prefix in _OUTPUT_PREFIXES.items():
        if text.startswith(prefix) and text[len(prefix) :] in DIGEST_SIZES:
            return method, text[len(prefix) :]
    raise FormatError(
        f"unknown hash algorithm '{text}'",
        hint=f"known: {', '.join(DIGEST_SIZES)}, each also with 'r:' before it",
    )


def render_output_method(method: Method, algorithm: str) -> str:
    """`r:sha256` from (NAR, sha256): the inverse of `parse_output_method`."""
    return _OUTPUT_PREFIXES[method] + algorithm


@dataclass(frozen=True, slots=True)
class ContentAddress:
    """A method and the hash that it gave."""

    method: Method
    hash: Hash

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text form.

        Raises:
            FormatError: another form, method or algorithm, or a malformed hash.
        """
        method_text, _, digest = text.rpartition(":")
        method, algorithm = parse_method(method_text)
        return cls(method, Hash.parse(digest, algorithm))

    def __str__(self) -> str:
        return f"{render_method(self.method, self.hash.algorithm)}:{self.hash.nix32}"


def path_for(
    address: ContentAddress,
    name: str,
    directory: str = DEFAULT_STORE,
    references: Iterable[StorePath] = (),
    self_reference: bool = False,
) -> StorePath:
    """The path that a content address stands for."""
    if address.method == Method.TEXT:
        return text_path(name, address.hash, references, directory)
    return fixed_path(name, address.method, address.hash, directory, references, self_reference)
