"""Nix's keys and signatures as text: `NAME:BASE64`.

A secret key holds 64 bytes, the seed and the public key; a public key 32; a signature 64 (Ed25519,
RFC 8032, over `PathInfo.fingerprint`). The arithmetic is libcrypto's (`fruix.signing.libcrypto`).
"""

from __future__ import annotations

import binascii
from collections.abc import Iterable, Mapping
from typing import Self

from fruix.dataclass import dataclass, field
from fruix.errors import FormatError
from fruix.late import late_import

TYPE_CHECKING = False  # what `typing` has, without loading it
if TYPE_CHECKING:
    import base64
else:
    base64 = late_import("base64")

SEED_SIZE = PUBLIC_SIZE = 32
SIGNATURE_SIZE = 64


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that signatures are checked with."""

    name: str
    point: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read one from its text.

        Raises:
            FormatError: it is none.
        """
        return cls(*split(text, PUBLIC_SIZE, "public key"))

    def __str__(self) -> str:
        return _joined(self.name, self.point)


@dataclass(frozen=True, slots=True)
class SecretKey:
    """A key that signs. Its seed is in no text but `secret_text`."""

    name: str
    seed: bytes = field(repr=False)
    point: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read one from its text.

        Raises:
            FormatError: it is none; the text isn't quoted.
        """
        name, data = split(text, SEED_SIZE + PUBLIC_SIZE, "secret key", secret=True)
        return cls(name, data[:SEED_SIZE], data[SEED_SIZE:])

    @property
    def public(self) -> PublicKey:
        """The key that checks what this one signs."""
        return PublicKey(self.name, self.point)

    @property
    def secret_text(self) -> str:
        """What its file holds."""
        return _joined(self.name, self.seed + self.point)

    def __str__(self) -> str:
        return f"secret key '{self.name}'"


def signature_text(name: str, signature: bytes) -> str:
    """A signature with the name of its key."""
    return _joined(name, signature)


def split(text: str, size: int, what: str, *, secret: bool = False) -> tuple[str, bytes]:
    """The name, and exactly `size` bytes.

    Raises:
        FormatError: a text of another form.
    """
    name, colon, encoded = text.strip().partition(":")
    try:
        data = base64.b64decode(encoded, validate=True)
    except (ValueError, binascii.Error):
        data = b""
    if not colon or not usable_name(name) or len(data) != size:
        shown = "" if secret else f" '{text.strip()}'"
        raise FormatError(f"no {what}:{shown} should be a name, a colon, and {size} bytes in base64")
    return name, data


def usable_name(name: str) -> bool:
    """Whether a key can have that name: no blanks, no colons, not empty."""
    return 0 < len(name) <= 200 and ":" not in name and len(name.split()) == 1 and name.strip() == name


def by_name(keys: Iterable[PublicKey]) -> Mapping[str, PublicKey]:
    """Public keys by their names; of several with one name the last."""
    return {key.name: key for key in keys}


def _joined(name: str, data: bytes) -> str:
    return f"{name}:{base64.b64encode(data).decode('ascii')}"
