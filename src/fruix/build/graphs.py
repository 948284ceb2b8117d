"""`exportReferencesGraph`: a builder is told the closures of some store paths, as text files or inside its JSON attributes.

If derivations are among the paths, their outputs and what those need are listed too. In the Nix world (and ours) a path must
be an input, and a path below it stands for it; Guix lists any valid path without showing it to the builder. Text form, for each path in byte
order: the path, an empty line (a deriver, once), the number of references, each reference. JSON form: docs/derivations.md.

Cost: one query per path of the closures; the sizes of closures in JSON are sums over the graph in memory.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from fruix.build.messages import FailedError
from fruix.errors import BadStorePathError
from fruix.model.attributes import Attributes
from fruix.model.pathinfo import PathInfo
from fruix.model.reasons import reason
from fruix.model.storepath import StorePath, check_name, in_store
from fruix.store import LocalStore

_FILE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


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
        infos = {info.path: info for info in _closure(store, _paths(store, drv, words, inputs, guix=False))}
        objects[name] = [_object(info, infos) for info in infos.values()]
    return objects


def _check_file_name(drv: StorePath, name: str, *, guix: bool) -> None:
    if guix:
        try:
            check_name(name)
        except BadStorePathError as error:
            raise FailedError(drv, reason("graph-name", name=name), hint=error.message) from None
    elif not _FILE_NAME.fullmatch(name):
        hint = "letters, digits, '_', '.' and '-', with a letter or '_' first"
        raise FailedError(drv, reason("graph-name", name=name), hint=hint)


def _paths(
    store: LocalStore, drv: StorePath, words: Iterable[str], inputs: Collection[StorePath], *, guix: bool
) -> list[StorePath]:
    known = set(inputs)
    found = []
    for word in words:
        try:
            path, _ = in_store(word, store.directory)
        except BadStorePathError:
            raise FailedError(drv, reason("graph-path", path=word)) from None
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
    infos = (store.path_info(path) for path in sorted(closure))
    return [info for info in infos if info is not None]


def _lines(info: PathInfo) -> str:
    return "".join(f"{line}\n" for line in (info.path, "", len(info.references), *info.references))


def _object(info: PathInfo, infos: Mapping[StorePath, PathInfo]) -> dict[str, Any]:
    result: dict[str, Any] = {
        "path": str(info.path),
        "valid": True,
        "narHash": info.nar_hash.prefixed,
        "narSize": info.nar_size,
        "references": [str(path) for path in info.references],
        "closureSize": _closure_size(info.path, infos),
    }
    if info.content_address is not None:
        result["ca"] = str(info.content_address)
    return result


def _closure_size(path: StorePath, infos: Mapping[StorePath, PathInfo]) -> int:
    seen, stack = {path}, [path]
    size = 0
    while stack:
        info = infos[stack.pop()]
        size += info.nar_size
        new = [reference for reference in info.references if reference not in seen]
        seen.update(new)
        stack.extend(new)
    return size
