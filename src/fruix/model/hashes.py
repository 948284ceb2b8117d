"""Digests with their algorithm, and the text forms in which they are met.

Forms: base16 (wire, derivations), nix32 (store paths, narinfo), base64, `algorithm:text`
(database), SRI `algorithm-base64` (messages). A reader takes any of them, told apart by length.
"""

from __future__ import annotations

import binascii
from typing import Protocol, Self

from fruix.dataclass import dataclass
from fruix.errors import BadHashError, HashLengthError
from fruix.late import late_import
from fruix.model import base32

TYPE_CHECKING = False  # what `typing` has, without loading it
if TYPE_CHECKING:
    import base64
else:
    base64 = late_import("base64")

# Algorithm → bytes of its digest. md5 and sha1 are read and computed because old derivations name
# them.
DIGEST_SIZES: dict[str, int] = {
    "md5": 16,
    "sha1": 20,
    "sha256": 32,
    "sha512": 64,
    "sha3-256": 32,
    "sha3-512": 64,
    "blake2s-256": 32,
}
_HASHLIB_NAMES = {"sha3-256": "sha3_256", "sha3-512": "sha3_512", "blake2s-256": "blake2s"}


class Hasher(Protocol):
    """The part of `hashlib`'s objects that is used here."""

    def update(self, data: bytes | bytearray | memoryview, /) -> None:
        """Take more data."""

    def digest(self) -> bytes:
        """The digest of all data so far."""

    def copy(self) -> Self:
        """Another one that has taken the same data."""


def hasher(algorithm: str) -> Hasher:
    """A fresh state for `algorithm`.

    Raises:
        BadHashError: unknown algorithm.
    """
    _digest_size(algorithm)
    import hashlib  # noqa: PLC0415 - loads OpenSSL

    if algorithm == "sha256":  # nearly all are, and its name needs no look
        return hashlib.sha256(usedforsecurity=False)
    return hashlib.new(_HASHLIB_NAMES.get(algorithm, algorithm), usedforsecurity=False)


def sha256(data: bytes | bytearray | memoryview = b"") -> Hasher:
    """A state for SHA-256 that has taken `data`."""
    import hashlib  # noqa: PLC0415 - loads OpenSSL

    return hashlib.sha256(data)


def _digest_size(algorithm: str) -> int:
    size = DIGEST_SIZES.get(algorithm)
    if size is None:
        raise BadHashError(f"unknown hash algorithm '{algorithm}'", hint=f"known: {', '.join(DIGEST_SIZES)}")
    return size


def fold(digest: bytes, size: int = 20) -> bytes:
    """XOR a digest onto itself until it has `size` bytes (not a truncation)."""
    result = int.from_bytes(digest[:size], "little")
    for start in range(size, len(digest), size):
        result ^= int.from_bytes(digest[start : start + size], "little")
    return result.to_bytes(size, "little")


@dataclass(frozen=True, slots=True, order=True)
class Hash:
    """A digest and the algorithm that made it."""

    algorithm: str
    digest: bytes

    def __post_init__(self) -> None:
        size = _digest_size(self.algorithm)
        if len(self.digest) != size:
            raise BadHashError(f"a {self.algorithm} digest has {size} bytes, not {len(self.digest)}")

    @classmethod
    def of(cls, algorithm: str, data: bytes | bytearray | memoryview) -> Self:
        """Hash `data`; raises `BadHashError` for an unknown algorithm."""
        if algorithm == "sha256":
            return cls(algorithm, sha256(data).digest())
        state = hasher(algorithm)
        state.update(data)
        return cls(algorithm, state.digest())

    @classmethod
    def parse(cls, text: str, algorithm: str | None = None) -> Self:
        """Read any form.

        Args:
            text: bare (then `algorithm` is needed), `algorithm:…`, or SRI `algorithm-…`.
            algorithm: what the text must be of.

        Raises:
            BadHashError: another algorithm, a wrong length or a wrong character.
        """
        named, rest, base64_only = _split(text)
        if named and algorithm and named != algorithm:
            raise BadHashError(f"hash '{text}' should be of algorithm '{algorithm}'")
        algorithm = named or algorithm
        if algorithm is None:
            raise BadHashError(
                f"hash '{text}' does not say its algorithm", hint="write it like sha256:… or sha256-…"
            )
        return cls(algorithm, _decode(rest, algorithm, text, base64_only=base64_only))

    @property
    def base16(self) -> str:
        """64 characters for a SHA-256, lower case."""
        return self.digest.hex()

    @property
    def nix32(self) -> str:
        """52 characters for a SHA-256."""
        return base32.encode(self.digest)

    @property
    def base64(self) -> str:
        """44 characters for a SHA-256, with padding."""
        return base64.b64encode(self.digest).decode("ascii")

    @property
    def sri(self) -> str:
        """`sha256-` and base64: the form of subresource integrity, which Nix prints."""
        return f"{self.algorithm}-{self.base64}"

    def like(self, text: str) -> str:
        """In the form in which another hash of the same algorithm is written in `text`."""
        named, rest, only_base64 = _split(text)
        forms = {len(form): form for form in (self.base16, self.nix32, self.base64)}
        if named is None:
            return forms.get(len(rest), self.sri)
        return self.sri if only_base64 else f"{named}:{forms.get(len(rest), self.base16)}"

    @property
    def prefixed(self) -> str:
        """`sha256:` and nix32, as Nix's narinfo files have it."""
        return f"{self.algorithm}:{self.nix32}"

    @property
    def prefixed16(self) -> str:
        """`sha256:` and base16, as the database of the store has it."""
        return f"{self.algorithm}:{self.base16}"


def _split(text: str) -> tuple[str | None, str, bool]:
    """(algorithm or None, the rest, whether the rest can only be base64)."""
    head, colon, rest = text.partition(":")
    if colon:
        return head, rest, False
    if "-" not in text:
        return None, text, False
    for algorithm in DIGEST_SIZES:  # names hold dashes themselves
        if text.startswith(algorithm + "-"):
            return algorithm, text[len(algorithm) + 1 :], True
    return None, text, False


def _decode(text: str, algorithm: str, whole: str, *, base64_only: bool) -> bytes:
    size = _digest_size(algorithm)
    try:
        if not base64_only and len(text) == 2 * size:
            return bytes.fromhex(text) if text.isalnum() else _refuse(whole)
        if not base64_only and len(text) == base32.encoded_size(size):
            return base32.decode(text, size)
        if len(text) == (size + 2) // 3 * 4:
            return _decode_base64(text, size, whole)
    except (ValueError, binascii.Error):
        _refuse(whole)
    raise HashLengthError(whole, algorithm, size)


def _decode_base64(text: str, size: int, whole: str) -> bytes:
    digest = base64.b64decode(text, validate=True)
    if len(digest) != size or base64.b64encode(digest).decode("ascii") != text:
        _refuse(whole)
    return digest


def _refuse(whole: str) -> bytes:
    raise BadHashError(f"'{whole}' is not a hash in base16, nix32 or base64")
