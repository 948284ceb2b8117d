"""Taking a finished build's outputs into the store: only after everything of the build is dead and unmounted.

Each declared output must exist; `LocalStore.take_output` does the rest in one pass: rename (sealed builds) or copy into fresh inodes (builds
that had a network), checks, canonical metadata, hash, references, and a fixed output's declared hash, before anything gets its final name.
Nothing is registered here; if one output is refused, those taken before it are removed again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from fruix.errors import FruixError, HashMismatchError, ObjectRejectedError
from fruix.model.derivation import Derivation
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath
from fruix.sandbox import faults
from fruix.store import LocalStore


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
    links = store.count_links(sources.values())
    infos: list[PathInfo] = []
    try:
        for name, source in sources.items():
            faults.reach("take-next" if infos else "take")
            output = derivation.outputs[name]
            assert output.path is not None
            expected = output.content_address if derivation.is_fixed else None
            try:
                info = store.take_output(
                    source,
                    output.path,
                    build_uid=build_uid,
                    candidates=candidates,
                    copy=copy,
                    links=links,
                    expected=expected,
                )
            except FileNotFoundError:
                raise _missing(derivation, name) from None
            infos.append(replace(info, deriver=path, ultimate=True, content_address=expected))
    except (FruixError, OSError) as error:
        for info in infos:
            store.delete_unregistered(info.path)
        if isinstance(error, HashMismatchError):
            raise _mismatch(error, path) from error
        raise
    return infos


def _missing(derivation: Derivation, name: str) -> ObjectRejectedError:
    final = derivation.outputs[name].path
    return ObjectRejectedError(
        f"builder failed to produce output path for output '{name}' at '{final}'",
        hint=f"the builder has to create ${name}; its log shows what it did instead",
    )


def _mismatch(error: HashMismatchError, path: StorePath) -> HashMismatchError:
    return HashMismatchError(
        f"fixed-output derivation '{path}'",
        expected=error.expected,
        got=error.got,
        hint="if the new contents are what you want, declare their hash; otherwise the source has been changed",
    )
