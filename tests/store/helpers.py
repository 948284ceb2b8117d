"""Small things that several store tests need."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from typing import Any

from fruix.model.contentaddress import Method
from fruix.model.hashes import Hash
from fruix.model.makepath import fixed_path, output_path
from fruix.model.nar import write
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath
from fruix.store.layout import Layout
from fruix.store.local import LocalStore
from fruix.store.outputs.import_tree import OutputPolicy
from fruix.store.tree.delete import delete_tree
from fruix.store.tree.dump import dump

GOLDEN = os.path.join(os.path.dirname(__file__), "..", "golden")
BUILD_UID = 35001


def golden(name: str) -> Any:
    with open(os.path.join(GOLDEN, name), encoding="utf-8") as file:
        return json.load(file)


def golden_bytes(name: str) -> bytes:
    with open(os.path.join(GOLDEN, name), "rb") as file:
        return file.read()


def directory_fd(path: str | os.PathLike[str]) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY)


def empty(path: str | os.PathLike[str]) -> None:
    """Delete what is in a directory.

    Pytest's own cleaning up does not manage every tree that is made here.
    """
    parent = directory_fd(path)
    try:
        for name in os.listdir(parent):
            delete_tree(parent, os.fsencode(name))
    finally:
        os.close(parent)


def write_file(path: str | os.PathLike[str], data: bytes = b"", mode: int = 0o644) -> None:
    with open(path, "wb") as file:
        file.write(data)
    os.chmod(path, mode)


def make_golden_tree(root: str) -> None:
    """The tree that `golden/nar/tree.nar` holds."""
    makers: dict[str, Callable[[bytes, dict[str, Any]], None]] = {
        "directory": lambda path, _entry: os.mkdir(path),
        "symlink": lambda path, entry: os.symlink(os.fsencode(entry["target"]), path),
        "regular": _make_regular,
    }
    os.mkdir(root)
    for entry in golden("nar/tree.json")["entries"]:
        path = os.path.join(os.fsencode(root), bytes.fromhex(entry["path_hex"]))
        makers[entry["type"]](path, entry)


def _make_regular(path: bytes, entry: dict[str, Any]) -> None:
    import base64

    with open(path, "wb") as file:
        file.write(base64.b64decode(entry["contents_base64"]))
    os.chmod(path, int(entry["mode"], 8))


def file_archive(data: bytes, executable: bool = False) -> bytes:
    return write.MAGIC + write.file_head(len(data), executable) + data + write.file_tail(len(data))


def info_of(
    store: LocalStore, name: str, data: bytes, references: Iterable[StorePath] = ()
) -> tuple[PathInfo, bytes]:
    """An (input-addressed) info for a plain file, with its archive."""
    archive = file_archive(data)
    path = output_path(name, "out", Hash.of("sha256", name.encode()).digest, store.directory)
    info = PathInfo(
        path=path,
        nar_hash=Hash.of("sha256", archive),
        nar_size=len(archive),
        references=tuple(sorted(references)),
    )
    return info, archive


def some_path(name: str, directory: str) -> StorePath:
    return fixed_path(name, Method.FLAT, Hash.of("sha256", name.encode()), directory)


def snapshot(root: str | os.PathLike[str]) -> dict[str, tuple[object, ...]]:
    """What a tree is, as far as an attack could change it."""
    found: dict[str, tuple[object, ...]] = {}
    for directory, directories, files in os.walk(root):
        for name in [*directories, *files, "."]:
            path = os.path.join(directory, name)
            status = os.lstat(path)
            data = b""
            if os.path.isfile(path) and not os.path.islink(path):
                with open(path, "rb") as file:
                    data = file.read()
            found[path] = (status.st_mode, status.st_uid, status.st_mtime_ns, data)
    return found


def give(root: str) -> None:
    """Make a tree the build user's."""
    for directory, directories, files in os.walk(root):
        for name in [*directories, *files, "."]:
            os.lchown(os.path.join(directory, name), BUILD_UID, BUILD_UID)
    os.lchown(root, BUILD_UID, BUILD_UID)


def take(store: LocalStore, source: str, *, copy: bool = False, **more: Any) -> PathInfo:
    path = some_path("out", store.directory)
    with store.lock_paths([path]):
        return store.stage_output(source, path, OutputPolicy(BUILD_UID, [path], copy, **more)).publish()


def archive(store: LocalStore, path: StorePath) -> bytes:
    parent = directory_fd(store.directory)
    try:
        return b"".join(dump(parent, path.base.encode()))
    finally:
        os.close(parent)


def nothing_but(store: LocalStore, *paths: StorePath) -> bool:
    """Whether the store holds these paths and no traces of anything else."""
    return (
        set(os.listdir(store.directory)) == {path.base for path in paths} and being_made(store.layout) == []
    )


def being_made(layout: Layout) -> list[str]:
    """What lies in the staging directories of all processes that have the store open or died with it."""
    return [
        name
        for place in layout.staging
        if os.path.isdir(place)
        for process in os.listdir(place)
        for name in os.listdir(f"{place}/{process}")
    ]


def leftovers(store: LocalStore) -> list[str]:
    """What is in the store beside valid paths."""
    valid = {path.base for path in store.all_valid_paths()}
    return [*(name for name in os.listdir(store.directory) if name not in valid), *being_made(store.layout)]
