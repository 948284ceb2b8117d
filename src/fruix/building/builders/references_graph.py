"""`exportReferencesGraph`.

A builder is told the closures of some store paths, as text files or inside its JSON attributes.

If derivations are among the paths, their outputs and what those need are listed too. In the Nix
world (and ours) a path must be an input, and a path below it stands for it; Guix lists any valid
path without showing it to the builder. Text form, for each path in byte order: the path, an empty
line (a deriver, once), the number of references, each reference. JSON form: docs/derivations.md.

Cost: one query per path of the closures; see `closure_sizes`.
"""

from __future__ import annotations

import graphlib
from collections.abc import Collection, Iterable, Sequence
from operator import getitem
from typing import Any

from fruix.building.failures import FailedError
from fruix.errors import BadStorePathError
from fruix.late import late_pattern
from fruix.model.attributes import Attributes
from fruix.model.pathinfo import PathInfo
from fruix.model.reasons import reason
from fruix.model.storepath import StorePath, check_name, in_store
from fruix.model.text import printable
from fruix.store import LocalStore
from fruix.store.tree.interruption import check_interrupt

_FILE_NAME = late_pattern(r"[A-Za-z_][A-Za-z0-9_.-]*")


def graph_files(
    store: LocalStore, drv: StorePath, attributes: Attributes, inputs: Collection[StorePath], *, guix: bool
) -> dict[str, bytes]:
    """The files that a builder finds in its working directory: name → contents.

    Raises:
        FailedError: a name that is no plain file name, or a path that can't be exported.
    """
    files: dict[str, bytes] = {}
    for name, words in attributes.graphs.items():
        _check_file_name(drv, name, guix=guix)
        infos = _closure(store, _paths(store, drv, words, inputs, guix=guix))
        files[name] = "".join(map(_lines, infos)).encode("ascii")
    return files


def graph_objects(
    store: LocalStore, drv: StorePath, attributes: Attributes, inputs: Collection[StorePath]
) -> dict[str, list[dict[str, Any]]]:
    """The same for structured attributes: attribute's name → one object per path.

    Raises:
        FailedError: a path that can't be exported.
    """
    objects: dict[str, list[dict[str, Any]]] = {}
    for name, words in attributes.graphs.items():
        infos = _closure(store, _paths(store, drv, words, inputs, guix=False))
        sizes = closure_sizes(infos)
        objects[name] = [_object(info, sizes[info.path]) for info in infos]
    return objects


def _check_file_name(drv: StorePath, name: str, *, guix: bool) -> None:
    if guix:
        try:
            check_name(name)
        except BadStorePathError as error:
            raise FailedError(drv, reason("graph-name", name=printable(name)), hint=error.message) from None
    elif not _FILE_NAME.fullmatch(name):
        hint = "letters, digits, '_', '.' and '-', with a letter or '_' first"
        raise FailedError(drv, reason("graph-name", name=printable(name)), hint=hint)


def _paths(
    store: LocalStore, drv: StorePath, words: Iterable[str], inputs: Collection[StorePath], *, guix: bool
) -> list[StorePath]:
    known = set(inputs)
    found = []
    for word in words:
        try:
            path, _ = in_store(word, store.directory)
        except BadStorePathError:
            raise FailedError(drv, reason("graph-path", path=printable(word))) from None
        store.add_temp_root(path)
        if not (store.is_valid(path) if guix else path in known):
            raise FailedError(drv, reason("graph-invalid", path=str(path)))
        found.append(path)
    return found


def _closure(store: LocalStore, paths: Iterable[StorePath]) -> list[PathInfo]:
    """The closure of the paths and of the outputs of all derivations in it, by path."""
    closure = store.closure(paths)
    outputs = [
        output for path in closure if path.is_derivation for output in store.derivation_outputs(path).values()
    ]
    closure |= store.closure(outputs)
    found = []
    for path in sorted(closure):
        check_interrupt()
        if (info := store.path_info(path)) is not None:
            found.append(info)
    return found


def _lines(info: PathInfo) -> str:
    return "".join(f"{line}\n" for line in (info.path, "", len(info.references), *info.references))


def _object(info: PathInfo, closure_size: int) -> dict[str, Any]:
    result: dict[str, Any] = {
        "path": str(info.path),
        "valid": True,
        "narHash": info.nar_hash.prefixed,
        "narSize": info.nar_size,
        "references": [str(path) for path in info.references],
        "closureSize": closure_size,
    }
    if info.content_address is not None:
        result["ca"] = str(info.content_address)
    return result


def closure_sizes(infos: Sequence[PathInfo]) -> dict[StorePath, int]:
    """The size of each path's closure; `infos` are closed under references.

    Closures are sets of bits. Their sizes are looked up eight bits at a time: for n paths about
    n²/8 steps, not n².
    """
    numbers = {info.path: number for number, info in enumerate(infos)}
    tables = [_sums(infos[start : start + 8]) for start in range(0, len(infos), 8)]
    graph = {info.path: [path for path in info.references if path != info.path] for info in infos}
    bits: dict[StorePath, int] = {}
    sizes: dict[StorePath, int] = {}
    for path in graphlib.TopologicalSorter(graph).static_order():
        check_interrupt()
        closure = 1 << numbers[path]
        for reference in graph[path]:
            closure |= bits[reference]
        bits[path] = closure
        sizes[path] = sum(map(getitem, tables, closure.to_bytes(len(tables), "little")))
    return sizes


def _sums(infos: Sequence[PathInfo]) -> list[int]:
    """For each byte, the sum of the sizes that its bits stand for."""
    sums = [0]
    for info in infos:
        sums += [already + info.nar_size for already in sums]
    return sums
