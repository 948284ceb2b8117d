"""Taking a finished build's outputs into the store: only after everything of the build is dead and unmounted.

Each declared output must exist and be sane; it is renamed (sealed builds) or copied into fresh inodes (builds that had a
network), made canonical, hashed and scanned for references in one pass by `LocalStore.take_output`. A fixed output must then
have the hash that was declared. Nothing is registered here; what was taken before a failure is removed again by the caller's lock
discipline (an unregistered path is garbage that its lock's holder deletes).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Mapping
from dataclasses import replace

from fruix.errors import HashMismatchError, ObjectRejectedError
from fruix.model.contentaddress import ContentAddress, Method
from fruix.model.derivation import Derivation
from fruix.model.hashes import Hash, hasher
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath
from fruix.store import LocalStore

CHUNK = 1 << 20


def take_outputs(
    store: LocalStore,
    derivation: Derivation,
    path: StorePath,
    sources: Mapping[str, str],
    *,
    build_uid: int,
    candidates: Collection[StorePath],
    copy: bool,
) -> list[PathInfo]:
    """Move all outputs of `derivation` (at `path`) from `sources` (output name → host path) to their final names.

    Returns:
        One path info per output, ready to be registered together.

    Raises:
        ObjectRejectedError: an output is missing or can't be a store object.
        HashMismatchError: a fixed output has other contents than declared.
    """
    for name, source in sources.items():
        _check_top(derivation, name, source)
    infos = []
    for name, source in sources.items():
        output = derivation.outputs[name]
        assert output.path is not None
        info = store.take_output(source, output.path, build_uid=build_uid, candidates=candidates, copy=copy)
        address = output.content_address if derivation.is_fixed else None
        if address is not None:
            _check_fixed(store, info, address, path)
        infos.append(replace(info, deriver=path, ultimate=True, content_address=address))
    return infos


def _check_top(derivation: Derivation, name: str, source: str) -> None:
    """The output is there, and its top is not open to others (build-user check follows for every file)."""
    final = derivation.outputs[name].path
    try:
        status = os.lstat(source)
    except FileNotFoundError:
        raise ObjectRejectedError(
            f"builder failed to produce output path for output '{name}' at '{final}'",
            hint=f"the builder has to create ${name}; its log shows what it did instead",
        ) from None
    if not stat.S_ISLNK(status.st_mode) and status.st_mode & 0o022:
        raise ObjectRejectedError(
            f"suspicious ownership or permission on '{final}'; rejecting this build output",
            hint="the output is writable by group or others: the builder should not change its umask (022)",
        )


def _check_fixed(store: LocalStore, info: PathInfo, address: ContentAddress, path: StorePath) -> None:
    """Compare with the declared hash; on a mismatch what was taken is deleted."""
    try:
        got = _content_hash(store, info, address)
        if got != address.hash:
            raise HashMismatchError(
                f"fixed-output derivation '{path}'",
                expected=address.hash.sri,
                got=got.sri,
                hint="if the new contents are what you want, declare their hash; otherwise the source has been changed",
            )
        if info.references:
            raise ObjectRejectedError(
                f"fixed-output derivations must not reference store paths: '{path}' references {info.references[0]}"
            )
    except (HashMismatchError, ObjectRejectedError):
        store.delete_unregistered(info.path)
        raise


def _content_hash(store: LocalStore, info: PathInfo, address: ContentAddress) -> Hash:
    algorithm = address.hash.algorithm
    if address.method == Method.NAR:
        if algorithm == info.nar_hash.algorithm:
            return info.nar_hash
        state = hasher(algorithm)
        for chunk in store.nar(info.path):
            state.update(chunk)
        return Hash(algorithm, state.digest())
    return _flat_hash(store.real(info.path), algorithm, info.path)


def _flat_hash(real: str, algorithm: str, path: StorePath) -> Hash:
    status = os.lstat(real)
    if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o111:
        raise ObjectRejectedError(f"output path '{path}' should be a non-executable regular file")
    state = hasher(algorithm)
    with open(os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
        while chunk := file.read(CHUNK):
            state.update(chunk)
    return Hash(algorithm, state.digest())
