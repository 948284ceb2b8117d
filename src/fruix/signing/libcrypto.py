"""Ed25519 (RFC 8032) by OpenSSL's libcrypto, 1.1.1 or later, through ctypes.

FreeBSD has the library in its base system, and wherever Python has `ssl` it is there. Cost: about
60 µs for a signature, 120 µs for checking one.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from ctypes import byref, c_char_p, c_int, c_size_t, c_void_p, create_string_buffer
from functools import cache

from fruix.errors import FruixError
from fruix.model.named_keys import PUBLIC_SIZE, SIGNATURE_SIZE
from fruix.signing.shared_library import Prototypes, libraries

# From OpenSSL's headers: NID_ED25519.
_ED25519 = 1087

# Debian and others; FreeBSD 13, 14 and 15.
_FILES = (
    "libcrypto.so.3",
    "libcrypto.so.1.1",
    "libcrypto.so.35",
    "libcrypto.so.30",
    "libcrypto.so.111",
    "libcrypto.so",
)

_P = c_void_p
_PROTOTYPES: Prototypes = {
    "EVP_PKEY_new_raw_private_key": (_P, (c_int, _P, c_char_p, c_size_t)),
    "EVP_PKEY_new_raw_public_key": (_P, (c_int, _P, c_char_p, c_size_t)),
    "EVP_PKEY_get_raw_public_key": (c_int, (_P, c_char_p, _P)),
    "EVP_PKEY_free": (None, (_P,)),
    "EVP_MD_CTX_new": (_P, ()),
    "EVP_MD_CTX_free": (None, (_P,)),
    "EVP_DigestSignInit": (c_int, (_P, _P, _P, _P, _P)),
    "EVP_DigestSign": (c_int, (_P, c_char_p, _P, c_char_p, c_size_t)),
    "EVP_DigestVerifyInit": (c_int, (_P, _P, _P, _P, _P)),
    "EVP_DigestVerify": (c_int, (_P, c_char_p, c_size_t, c_char_p, c_size_t)),
}


@cache
def library() -> ctypes.CDLL:
    """The library, with the types of the functions that are used.

    Raises:
        FruixError: it isn't there, or too old.
    """
    for found in libraries(_FILES, "crypto", _PROTOTYPES):
        return found
    raise FruixError(
        "Nix's signatures need OpenSSL's libcrypto (1.1.1 or later), and it isn't here",
        hint="install it: libssl3 on Debian; FreeBSD has it in its base system",
    )


def public_from_seed(seed: bytes) -> bytes:
    """The public key of 32 secret bytes."""
    with _private(seed) as key:
        point, size = create_string_buffer(PUBLIC_SIZE), c_size_t(PUBLIC_SIZE)
        _check(library().EVP_PKEY_get_raw_public_key(key, point, byref(size)))
        return point.raw


def sign(seed: bytes, message: bytes) -> bytes:
    """The signature of a message."""
    signature, size = create_string_buffer(SIGNATURE_SIZE), c_size_t(SIGNATURE_SIZE)
    with _private(seed) as key, _context() as context:
        _check(library().EVP_DigestSignInit(context, None, None, None, key))
        _check(library().EVP_DigestSign(context, signature, byref(size), message, len(message)))
    return signature.raw


def verify(point: bytes, signature: bytes, message: bytes) -> bool:
    """Whether the key with this public half has signed the message."""
    with _owned("EVP_PKEY_new_raw_public_key", point) as key, _context() as context:
        _check(library().EVP_DigestVerifyInit(context, None, None, None, key))
        found = library().EVP_DigestVerify(context, signature, len(signature), message, len(message))
        return bool(found == 1)


def _private(seed: bytes) -> AbstractContextManager[c_void_p]:
    return _owned("EVP_PKEY_new_raw_private_key", seed)


@contextmanager
def _owned(make: str, raw: bytes) -> Iterator[c_void_p]:
    """A key object of the library for 32 bytes."""
    key = getattr(library(), make)(_ED25519, None, raw, len(raw))
    if not key:
        raise FruixError("libcrypto refuses the key", hint="is OpenSSL here restricted to other algorithms?")
    try:
        yield key
    finally:
        library().EVP_PKEY_free(key)


@contextmanager
def _context() -> Iterator[c_void_p]:
    context = library().EVP_MD_CTX_new()
    if not context:
        raise MemoryError
    try:
        yield context
    finally:
        library().EVP_MD_CTX_free(context)


def _check(result: int) -> None:
    if result != 1:
        raise FruixError("libcrypto can't do Ed25519", hint="is OpenSSL here restricted to other algorithms?")
