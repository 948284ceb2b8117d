"""Directories whose metadata a deduplication was changing when its process died.

Replacing a file changes the time of its directory (without root also the mode), which is set back
at once. While an object is worked on, a file in the private directory of the process bears its
name, so that the next start finds what may have lost either.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress

from fruix.errors import ObjectRejectedError
from fruix.store.leftovers import Session
from fruix.store.tree.descriptors import CREATE_FILE
from fruix.store.tree.metadata import DIRECTORY_MODE, MODIFIED, finish_open
from fruix.store.tree.walk import Kind, Node, walk

_NOTE = "deduplicating-"


@contextmanager
def noted(directory: int, base: str) -> Iterator[None]:
    """Meanwhile a note in the open private directory says that the object is being changed."""
    name = _NOTE + base
    with suppress(FileExistsError):  # two threads at one object
        os.close(os.open(name, CREATE_FILE, 0o600, dir_fd=directory))
    try:
        yield
    finally:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=directory)


def mend(store: int, sessions: Iterable[Session]) -> list[str]:
    """Set mode and time of the directories of objects that these crashed sessions were changing.

    Returns:
        The base names of the objects.
    """
    names = [name for session in sessions for name in os.listdir(f"{session.place}/{session.name}")]
    found = [name.removeprefix(_NOTE) for name in names if name.startswith(_NOTE)]
    for base in found:
        with suppress(FileNotFoundError, ObjectRejectedError):
            _mend(store, os.fsencode(base))
    return found


def _mend(store: int, name: bytes) -> None:
    with closing(walk(store, name)) as nodes:
        for node in nodes:
            if node.kind is Kind.END and not _is_canonical(node):
                finish_open(node.descriptor, DIRECTORY_MODE, node.status.st_atime_ns)


def _is_canonical(node: Node) -> bool:
    mode = stat.S_IMODE(node.status.st_mode)
    return mode == DIRECTORY_MODE and node.status.st_mtime_ns == MODIFIED * 10**9
