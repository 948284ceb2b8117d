"""What a builder without a sandbox sees: everything of the host, at its place.

The store's directory is still the build's own, with its inputs, and so are /dev, /proc and the build
directory: processes and outputs of a build stay apart from those of others.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from fruix.errors import SandboxError
from fruix.model.storepath import StorePath
from fruix.sandbox import Bind
from fruix.sandbox.back_ends import current

# The last is where daemons without root have a user's store, and what belongs to it.
_OWN = frozenset({"dev", "proc", "frx"})
MOST_OBJECTS = 4096


def whole_host(directory: str) -> tuple[Bind, ...]:
    """All entries of the root directory but those that a build has for itself.

    Args:
        directory: the build directory as the builder sees it.

    Raises:
        SandboxError: it can't be shown on this platform.
    """
    if current().costly_mounts:
        raise SandboxError("platform", 0, "builds without a sandbox are for Linux", hint="sandbox = true")
    taken = {*_OWN, directory.strip("/").partition("/")[0]} - {"tmp"}
    with os.scandir("/") as entries:
        shown = sorted(entry.path for entry in entries if entry.name not in taken and _can_be_shown(entry))
    return tuple(Bind(path, path, writable=_is_writable(path)) for path in shown)


def rest_of_store(real: str, store: str, inputs: Iterable[StorePath]) -> Iterator[Bind]:
    """The store's other objects, for a builder that has no sandbox and may talk to the daemon.

    It sees them as it sees the rest of the host, and the daemon tells it nothing of them all the same.
    Of a store with more than `MOST_OBJECTS` it sees its inputs alone: each takes a mount.

    Args:
        real: the store's directory on the host.
        store: as the builder sees it.
        inputs: what is shown already.
    """
    known = {path.base for path in inputs}
    with os.scandir(real) as entries:
        found = [entry for entry in entries if not entry.name.startswith(".") and entry.name not in known]
    for entry in found if len(found) <= MOST_OBJECTS else ():
        if _can_be_shown(entry):
            yield Bind(entry.path, f"{store}/{entry.name}")


def _can_be_shown(entry: os.DirEntry[str]) -> bool:
    return entry.is_symlink() or entry.is_dir(follow_symlinks=False) or entry.is_file(follow_symlinks=False)


def _is_writable(path: str) -> bool:
    """Whether its file system is: what is mounted read-only can't be made writable."""
    return os.path.isdir(path) and not os.path.islink(path) and not os.statvfs(path).f_flag & os.ST_RDONLY
