"""Signatures over s-expressions by libgcrypt, through ctypes: what Guix uses.

Optional: only exports and imports in Guix's signed form need it. Keys and data go in, and results
come out, in canonical form. Cost: about 1 ms for a signature or for checking one.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ctypes import byref, c_char_p, c_int, c_size_t, c_uint, c_void_p, create_string_buffer
from functools import cache

from fruix.errors import FruixError
from fruix.model.sexp import Sexp, canonical, parse
from fruix.signing.shared_library import Prototypes, libraries

_FILES = ("libgcrypt.so.20", "libgcrypt.so")
_OLDEST = b"1.8.0"
# From gcrypt.h: GCRYCTL_DISABLE_SECMEM, GCRYCTL_INITIALIZATION_FINISHED(_P), GCRYSEXP_FMT_CANON;
# the code of a bad signature among those of libgpg-error.
_DISABLE_SECMEM, _FINISHED, _IS_FINISHED, _CANONICAL, _BAD_SIGNATURE = 37, 38, 39, 1, 8
_CODE = 0xFFFF  # the rest of an error says where it comes from

_P = c_void_p
_PROTOTYPES: Prototypes = {
    "gcry_check_version": (c_char_p, (c_char_p,)),
    "gcry_sexp_new": (c_uint, (_P, c_char_p, c_size_t, c_int)),
    "gcry_sexp_release": (None, (_P,)),
    "gcry_sexp_sprint": (c_size_t, (_P, c_int, c_char_p, c_size_t)),
    "gcry_pk_sign": (c_uint, (_P, _P, _P)),
    "gcry_pk_verify": (c_uint, (_P, _P, _P)),
    "gcry_pk_genkey": (c_uint, (_P, _P)),
    "gcry_strerror": (c_char_p, (c_uint,)),
}

_loading = threading.Lock()


def library() -> ctypes.CDLL:
    """The library, initialised, with the types of the functions that are used.

    Raises:
        FruixError: it isn't there, or too old.
    """
    with _loading:  # threads must not initialise it at the same time
        return _loaded()


@cache
def _loaded() -> ctypes.CDLL:
    for found in libraries(_FILES, "gcrypt", _PROTOTYPES):
        if found.gcry_check_version(_OLDEST) is None:
            continue
        if not found.gcry_control(_IS_FINISHED):
            found.gcry_control(_DISABLE_SECMEM, 0)  # locked memory is short, and few may have any
            found.gcry_control(_FINISHED, 0)
        return found
    raise FruixError(
        "Guix's signatures need libgcrypt (1.8 or later), and it isn't here",
        hint="install it: libgcrypt20 on Debian, security/libgcrypt on FreeBSD; "
        "Nix's signatures and unsigned archives work without it",
    )


def sign(data: Sexp, key: Sexp) -> Sexp:
    """The `sig-val` of data by a private key."""
    with ExitStack() as held:
        result = c_void_p()
        given = held.enter_context(_held(data)), held.enter_context(_held(key))
        _check(library().gcry_pk_sign(byref(result), *given), "signing")
        return _taken(result)


def verify(value: Sexp, data: Sexp, key: Sexp) -> bool:
    """Whether `sig-val` is the signature of data by the private half of a public key.

    Raises:
        FruixError: the library can't tell, such as for a kind of key that it doesn't know.
    """
    with ExitStack() as held:
        given = [held.enter_context(_held(part)) for part in (value, data, key)]
        failed = library().gcry_pk_verify(*given)
        if failed & _CODE == _BAD_SIGNATURE:
            return False
        _check(failed, "checking a signature")
        return True


def generate() -> Sexp:
    """A fresh pair of keys of Guix's default kind: `(key-data (public-key …) (private-key …))`."""
    wanted: Sexp = (b"genkey", (b"ecdsa", (b"curve", b"Ed25519"), (b"flags", b"rfc6979")))
    with _held(wanted) as given:
        result = c_void_p()
        _check(library().gcry_pk_genkey(byref(result), given), "making a key")
        return _taken(result)


@contextmanager
def _held(value: Sexp) -> Iterator[c_void_p]:
    """An s-expression as an object of the library."""
    text, made = canonical(value), c_void_p()
    _check(library().gcry_sexp_new(byref(made), text, len(text), 0), "reading an s-expression")
    try:
        yield made
    finally:
        library().gcry_sexp_release(made)


def _taken(value: c_void_p) -> Sexp:
    """What an object of the library says; it is released."""
    try:
        size = library().gcry_sexp_sprint(value, _CANONICAL, None, 0)
        buffer = create_string_buffer(size)
        library().gcry_sexp_sprint(value, _CANONICAL, buffer, size)
        return parse(buffer.raw.rstrip(b"\0"))
    finally:
        library().gcry_sexp_release(value)


def _check(failed: int, what: str) -> None:
    if failed:
        why = library().gcry_strerror(failed).decode("utf-8", "replace")
        raise FruixError(f"libgcrypt: {what} failed: {why}")
