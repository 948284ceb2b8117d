"""Hashes of objects that are on disk, and the check that a content address is true.

All read by (open directory, name) without following links, in one streaming pass each, hashed
beside the reading. Content addresses and the paths that follow from them are specified in
docs/store.md.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator

from fruix.errors import ImportMismatchError, ObjectRejectedError
from fruix.model.contentaddress import ContentAddress, Method, path_for
from fruix.model.hashes import Hash
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath
from fruix.store.tree.descriptors import lstat, open_regular
from fruix.store.tree.dump import dump
from fruix.store.tree.file_contents import contents
from fruix.store.tree.hashing import StreamHash


def hash_stream(chunks: Iterable[bytes], algorithm: str = "sha256") -> tuple[Hash, int]:
    """The hash and the size of a stream."""
    with StreamHash(algorithm) as stream:
        for chunk in chunks:
            stream.update(chunk)
        return stream.finish(), stream.size


def nar_hash(parent: int, name: bytes, algorithm: str = "sha256") -> tuple[Hash, int]:
    """The hash and size of a tree's archive."""
    return hash_stream(dump(parent, name), algorithm)


def flat_chunks(parent: int, name: bytes, *, where: str = "") -> Iterator[bytes]:
    """The bytes of a regular file.

    Raises:
        ObjectRejectedError: anything but a regular, non-executable file.
    """
    where = where or os.fsdecode(name)
    refusal = f"output path '{where}' should be a non-executable regular file"
    if not stat.S_ISREG(lstat(parent, name).st_mode):
        raise ObjectRejectedError(refusal)
    descriptor = open_regular(parent, name)
    try:
        status = os.fstat(descriptor)
        if status.st_mode & 0o100:
            raise ObjectRejectedError(refusal)
        yield from contents(descriptor, status.st_size, where=where)
    finally:
        os.close(descriptor)


def object_hash(parent: int, name: bytes, method: Method, algorithm: str, *, where: str = "") -> Hash:
    """The hash of an object by a content-addressing method.

    Raises:
        ObjectRejectedError: a method that needs a plain file, and it is none; or a method that is
            not supported.
    """
    if method is Method.NAR:
        return nar_hash(parent, name, algorithm)[0]
    check_method(method, algorithm)
    return hash_stream(flat_chunks(parent, name, where=where), algorithm)[0]


def hash_modulo(chunks: Iterable[bytes], hash_part: bytes, algorithm: str) -> tuple[Hash, Hash]:
    """The hash of a stream with each occurrence of an object's own hash part replaced by zeros.

    Returns:
        Two forms that are both in use: of the stream alone (Nix since 2.17), and followed by
            `|OFFSET` for each
        occurrence (before).
    """
    offsets: list[int] = []
    with StreamHash(algorithm) as plain, StreamHash(algorithm) as with_offsets:
        for chunk in _blanked(chunks, hash_part, offsets):
            plain.update(chunk)
            with_offsets.update(chunk)
        for offset in offsets:
            with_offsets.update(b"|%d" % offset)
        return plain.finish(), with_offsets.finish()


def _blanked(chunks: Iterable[bytes], hash_part: bytes, offsets: list[int]) -> Iterator[bytes]:
    """The stream with zeros for the hash part.

    The end of each chunk is kept back, as one may begin there.
    """
    rest, start = b"", 0  # `start`: offset of `rest` in the stream
    blank = bytes(len(hash_part))
    for chunk in chunks:
        data = rest + chunk
        position = data.find(hash_part)
        while position >= 0:
            offsets.append(start + position)
            data = data[:position] + blank + data[position + len(hash_part) :]
            position = data.find(hash_part, position + len(hash_part))
        keep = min(len(data), len(hash_part) - 1)
        rest = data[len(data) - keep :]
        start += len(data) - keep
        yield data[: len(data) - keep]
    yield rest


def check_address(parent: int, name: bytes, info: PathInfo) -> None:
    """Check that an object has the content address that its info claims (nothing claimed: nothing to check).

    The NAR hash of `info` was checked already.

    Raises:
        ImportMismatchError: the contents are others.
        ObjectRejectedError: the path does not follow from the address, or the method is not
            supported.
    """
    address = info.content_address
    if address is None:
        return
    check_address_path(info)
    expected = address.hash
    if info.path in info.references:
        own = info.path.hash_part.encode()
        found = hash_modulo(dump(parent, name), own, expected.algorithm)
    elif address.method is Method.NAR and expected.algorithm == info.nar_hash.algorithm:
        found = (info.nar_hash, info.nar_hash)
    else:
        got = object_hash(parent, name, address.method, expected.algorithm, where=str(info.path))
        found = (got, got)
    if expected not in found:
        raise ImportMismatchError(
            str(info.path), kind="ca hash", expected=expected.prefixed, got=found[0].prefixed
        )


def check_method(method: Method, algorithm: str) -> None:
    """Refuse ways of addressing that this store can't compute.

    Raises:
        ObjectRejectedError: git objects, or texts by another algorithm than SHA-256.
    """
    if method is Method.GIT:
        raise ObjectRejectedError("content-addressing method 'git' is not supported")
    if method is Method.TEXT and algorithm != "sha256":
        raise ObjectRejectedError(f"texts are addressed by sha256, not by {algorithm}")


def addressed_path(address: ContentAddress, info: PathInfo) -> StorePath:
    """The path that a content address gives to an object with this name and these references."""
    path = info.path
    others = tuple(reference for reference in info.references if reference != path)
    return path_for(address, path.name, path.directory, others, path in info.references)


def check_address_path(info: PathInfo) -> None:
    """Check that a path is the one that its content address and references give.

    Raises:
        ObjectRejectedError: it is another.
    """
    address, path = info.content_address, info.path
    if address is None:
        return
    check_method(address.method, address.hash.algorithm)
    if addressed_path(address, info) != path:
        raise ObjectRejectedError(
            f"cannot add path '{path}' to the store because it claims to be content-addressed but isn't"
        )
