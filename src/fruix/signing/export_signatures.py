"""Guix's signatures on items of an export stream: making them, and judging those of others.

What is signed is the SHA-256 of an item from its archive to its deriver. It is believed when its
key is in the access control list.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from fruix.errors import FormatError, FruixError, NotPermittedError, UsageError
from fruix.model.guix_signature import (
    GuixSignature,
    public_key,
    read_acl,
    read_public_key,
    signed_data,
)
from fruix.model.sexp import Sexp, advanced, find, parse
from fruix.signing import libgcrypt
from fruix.signing.key_files import read_public, read_secret


def read_private_key(file: str) -> Sexp:
    """A private key from its file.

    Raises:
        FruixError: the file isn't secret, or holds no private key.
    """
    try:
        found = find(parse(read_secret(file)), b"private-key")
    except FormatError:
        found = None
    if found is None:
        raise UsageError("no private key", where=file, hint="'fruix key generate --guix' makes one")
    return found


def sign(digest: bytes, private: Sexp) -> str:
    """The text of a signature of a SHA-256."""
    public = public_key(private)
    value = libgcrypt.sign(signed_data(public, digest), private)
    return GuixSignature(digest, value, public).text


def authorized_keys(acl_file: str, own_public: str = "") -> Sequence[Sexp]:
    """The keys whose archives may be imported.

    Where there is no access control list, this machine's own key, if it has one.

    Raises:
        FruixError: a file that can't be read, or is none.
    """
    name, read = (acl_file, read_acl) if os.path.lexists(acl_file) else (own_public, _only)
    if not name or not os.path.lexists(name):
        return ()
    try:
        return read(read_public(name))
    except FormatError as error:
        raise FruixError(error.message, where=name) from error


def _only(data: bytes) -> tuple[Sexp, ...]:
    return (read_public_key(data),)


def judge(data: bytes, digest: bytes, authorized: Sequence[Sexp]) -> None:
    """Raise unless a signature is good: of that SHA-256, and of an authorized key.

    Raises:
        NotPermittedError: with Guix's words for what is wrong.
    """
    shown = data.decode("latin-1").strip()
    try:
        signature = GuixSignature.parse(data)
    except FormatError as error:
        raise NotPermittedError(f"corrupt signature data: {shown}", hint=str(error)) from error
    if signature.key not in authorized:
        raise NotPermittedError(
            f"unauthorized public key: {advanced(signature.key).strip()}",
            hint="add the key to the access control list (setting 'acl-file')",
        )
    if signature.digest != digest:
        raise NotPermittedError(
            "signed hash doesn't match actual contents of imported archive; archive could be corrupt, "
            "or someone is trying to import a Trojan horse"
        )
    if not libgcrypt.verify(signature.value, signed_data(signature.key, digest), signature.key):
        raise NotPermittedError(f"invalid signature: {shown}")
