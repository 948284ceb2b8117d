"""Nix's signatures on what a store knows of a path: making them, and whom to believe.

What is signed is `PathInfo.fingerprint`: path, hash and size of the archive, references. So a
signature says what is at a path, wherever it comes from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from fruix import signing
from fruix.dataclass import dataclass, field
from fruix.errors import FormatError, UsageError
from fruix.model.hashes import hasher
from fruix.model.named_keys import (
    SEED_SIZE,
    SIGNATURE_SIZE,
    PublicKey,
    SecretKey,
    by_name,
    signature_text,
    split,
)
from fruix.model.pathinfo import PathInfo
from fruix.model.realisation import Realisation
from fruix.model.text import to_text
from fruix.signing.key_files import read_secret

if TYPE_CHECKING:
    from fruix.model.sexp import Sexp


def read_secret_key(file: str) -> SecretKey:
    """A secret key from its file.

    Raises:
        FruixError: the file isn't secret, or holds no key.
    """
    try:
        return SecretKey.parse(to_text(read_secret(file)))
    except FormatError as error:
        raise UsageError(str(error), where=file, hint="'fruix key generate' makes one") from error


def generate(name: str, seed: bytes) -> SecretKey:
    """The key that 32 random bytes give."""
    return SecretKey(name, seed, signing.libcrypto.public_from_seed(seed))


def as_guix_key(key: SecretKey) -> Sexp:
    """The same pair of keys as Guix's s-expression: its scalar, which Ed25519 derives from the seed.

    The way back there isn't: what is derived says nothing of the seed.
    """
    state = hasher("sha512")
    state.update(key.seed)
    digest = bytearray(state.digest()[:SEED_SIZE])
    digest[0] &= 0xF8  # RFC 8032, 5.1.5
    digest[31] = digest[31] & 0x7F | 0x40
    scalar = bytes(reversed(digest))
    return (b"private-key", (b"ecc", (b"curve", b"Ed25519"), (b"q", key.point), (b"d", scalar)))


def sign(info: PathInfo, key: SecretKey) -> str:
    """The signature of what is known of a path."""
    return signature_text(key.name, signing.libcrypto.sign(key.seed, info.fingerprint.encode()))


def is_good(said: PathInfo | Realisation, signature: str, keys: Mapping[str, PublicKey]) -> bool:
    """Whether a signature is one of `keys` over what is said."""
    key = keys.get(signature.partition(":")[0])
    if key is None:
        return False
    try:
        _, data = split(signature, SIGNATURE_SIZE, "signature")
    except FormatError:
        return False
    return signing.libcrypto.verify(key.point, data, said.fingerprint.encode())


@dataclass(frozen=True, slots=True)
class PathTrust:
    """Whose word on a path is taken.

    `required`: whether any is needed; `keys`: whose signatures count, by name.
    """

    required: bool = True
    keys: Mapping[str, PublicKey] = field(default_factory=dict)

    @classmethod
    def of(cls, keys: Iterable[str], own: Iterable[SecretKey] = (), *, required: bool = True) -> PathTrust:
        """Trust these public keys (their texts), and what is signed here.

        Raises:
            FormatError: a text that is no public key.
        """
        return cls(required, by_name([*(key.public for key in own), *map(PublicKey.parse, keys)]))

    def accepts(self, info: PathInfo) -> bool:
        """Whether a path may be added: it names its own contents (which adding checks), or is vouched for."""
        return not self.required or info.content_address is not None or self.vouched(info)

    def vouched(self, said: PathInfo | Realisation) -> bool:
        """Whether one of the signatures is good and of a trusted key."""
        return any(is_good(said, signature, self.keys) for signature in said.signatures)
