"""Every way in which a store path is computed.

Rules common to Guix and Nix, with the directory part of what is hashed.

fingerprint = KIND ":sha256:" HEX(inner) ":" DIRECTORY ":" NAME
path        = DIRECTORY "/" nix32(fold(SHA256(fingerprint), 20)) "-" NAME
"""

from __future__ import annotations

import enum
from collections.abc import Iterable

from fruix.errors import FormatError
from fruix.model import base32
from fruix.model.hashes import Hash, fold, sha256
from fruix.model.storepath import DEFAULT_STORE, StorePath, check_name

_HASH_BYTES = 20


class Method(enum.StrEnum):
    """In which form contents are hashed: the bytes of a file, a NAR, or a git object."""

    TEXT = "text"
    FLAT = "flat"
    NAR = "nar"
    GIT = "git"


def make_store_path(kind: str, inner: bytes, name: str, directory: str = DEFAULT_STORE) -> StorePath:
    """The path of anything.

    Args:
        kind: `text…`, `source…` or `output:…`.
        inner: a SHA-256 digest (32 bytes).
        name: checked.
        directory: the store directory.

    Raises:
        BadStorePathError: a name that no store path can have.
    """
    check_name(name)
    fingerprint = f"{kind}:sha256:{inner.hex()}:{directory}:{name}"
    digest = fold(sha256(fingerprint.encode("ascii")).digest(), _HASH_BYTES)
    return StorePath(f"{directory}/{base32.encode(digest)}-{name}")


def text_path(
    name: str, contents: Hash, references: Iterable[StorePath] = (), directory: str = DEFAULT_STORE
) -> StorePath:
    """The path of a text file (every derivation is one); `contents` is the SHA-256 of its bytes."""
    return make_store_path(_with_references("text", references), contents.digest, name, directory)


def fixed_path(
    name: str,
    method: Method,
    hash_: Hash,
    directory: str = DEFAULT_STORE,
    references: Iterable[StorePath] = (),
    self_reference: bool = False,
) -> StorePath:
    """The path of contents with a known hash.

    Raises:
        FormatError: references in a form that can't have any.
    """
    if method == Method.NAR and hash_.algorithm == "sha256":
        kind = _with_references("source", references) + (":self" if self_reference else "")
        return make_store_path(kind, hash_.digest, name, directory)
    if self_reference or any(True for _ in references):
        raise FormatError(f"fixed output '{name}' by {method} {hash_.algorithm} can't have references")
    prefix = {Method.FLAT: "", Method.NAR: "r:", Method.GIT: "git:"}[method]
    inner = sha256(f"fixed:out:{prefix}{hash_.algorithm}:{hash_.base16}:".encode("ascii")).digest()
    return make_store_path("output:out", inner, name, directory)


def output_path(drv_name: str, output: str, digest: bytes, directory: str = DEFAULT_STORE) -> StorePath:
    """The path of an input-addressed output; `digest` is the derivation's masked hash modulo."""
    return make_store_path(f"output:{output}", digest, output_name(drv_name, output), directory)


def output_name(drv_name: str, output: str) -> str:
    """The name part of an output's path."""
    return drv_name if output == "out" else f"{drv_name}-{output}"


def placeholder(output: str) -> str:
    """What Nix clients write for a derivation's own output where its path isn't known yet."""
    return "/" + base32.encode(sha256(f"nix-output:{output}".encode()).digest())


def upstream_placeholder(drv: StorePath, output: str) -> str:
    """What Nix clients write for an output of another derivation where its path isn't known yet."""
    text = f"nix-upstream-output:{drv.hash_part}:{output_name(drv.short_name, output)}"
    return "/" + base32.encode(sha256(text.encode()).digest())


def dynamic_placeholder(before: str, output: str) -> str:
    """The same for an output of a derivation that is an output, whose own placeholder is `before`."""
    digest = base32.encode(fold(base32.decode(before[1:]), _HASH_BYTES))
    return "/" + base32.encode(sha256(f"nix-computed-output:{digest}:{output}".encode()).digest())


def scratch_path(drv: StorePath, output: str) -> StorePath:
    """Where a builder makes an output whose path its contents will give; never registered."""
    name = output_name(drv.short_name, output)
    return make_store_path(f"rewrite:{drv.base}:name:{output}", bytes(32), name, drv.directory)


def _with_references(kind: str, references: Iterable[StorePath]) -> str:
    return ":".join([kind, *sorted({path.text for path in references})])
