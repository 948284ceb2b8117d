"""Guix's signatures, keys and access control lists: what their s-expressions say.

A signature holds the signed SHA-256, what the algorithm made of it, and the public key:

    (signature (data (flags F) (hash sha256 H)) (sig-val …) (public-key …))

An access control list names keys and what they are good for, which is always `(guix import)`:

    (acl (entry (public-key …) (tag (guix import))) …)

Keys are compared by structure. The arithmetic is libgcrypt's (`fruix.signing.libgcrypt`).
"""

from __future__ import annotations

from typing import Self

from fruix.dataclass import dataclass
from fruix.errors import FormatError
from fruix.model.sexp import Sexp, advanced, find, parse

IMPORT: Sexp = (b"tag", (b"guix", b"import"))
_DIGEST = 32


@dataclass(frozen=True, slots=True)
class GuixSignature:
    """A signature as it was read; nobody has looked yet whether it is good.

    Attributes:
        digest: the SHA-256 that was signed.
        value: the list `sig-val`.
        key: the list `public-key`.
    """

    digest: bytes
    value: Sexp
    key: Sexp

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Take a signature apart.

        Raises:
            FormatError: it is none, or of another hash than SHA-256.
        """
        whole = parse(data)
        value, key = find(whole, b"sig-val"), find(whole, b"public-key")
        match find(find(whole, b"data") or (), b"hash"):
            case (_, b"sha256", bytes(digest)) if len(digest) == _DIGEST and value and key:
                return cls(digest, value, key)
        raise FormatError("a signature lacks its SHA-256, its value or its public key")

    @property
    def text(self) -> str:
        """The text that Guix writes."""
        return advanced((b"signature", signed_data(self.key, self.digest), self.value, self.key))


def signed_data(key: Sexp, digest: bytes) -> Sexp:
    """What the algorithm of `key` is given for a SHA-256.

    It is made anew for verification too: what a signature says of itself could make the algorithm
    look at something else than the hash.
    """
    flags = b"pkcs1" if find(key, b"rsa") else b"rfc6979"
    return (b"data", (b"flags", flags), (b"hash", b"sha256", digest))


def public_key(key: Sexp) -> Sexp:
    """The public half of a private key on an elliptic curve.

    Raises:
        FormatError: it is none.
    """
    curve, point = find(key, b"curve"), find(key, b"q")
    if find(key, b"private-key") is None or curve is None or point is None:
        raise FormatError("no private key on an elliptic curve")
    return (b"public-key", (b"ecc", curve, point))


def read_public_key(data: bytes) -> Sexp:
    """A public key from its file.

    Raises:
        FormatError: it is none.
    """
    found = find(parse(data), b"public-key")
    if found is None:
        raise FormatError("no public key")
    return found


def read_acl(data: bytes) -> tuple[Sexp, ...]:
    """The keys that an access control list lets import.

    Raises:
        FormatError: it is none.
    """
    match parse(data):
        case (b"acl", *entries):
            return tuple(_authorized(entry) for entry in entries)
    raise FormatError("no access control list: it should begin with '(acl'")


def _authorized(entry: Sexp) -> Sexp:
    match entry:
        case (b"entry", (b"public-key", *rest), tag) if tag == IMPORT:
            return (b"public-key", *rest)
    raise FormatError("an entry that isn't a public key with the tag (guix import)")


def acl(*keys: Sexp) -> str:
    """The text of an access control list."""
    return advanced((b"acl", *((b"entry", key, IMPORT) for key in keys)))
