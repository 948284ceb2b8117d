"""What a builder without a sandbox sees: everything of the host, at its place.

The store's directory is still the build's own, with its inputs, and so are /dev, /proc and the build
directory: processes and outputs of a build stay apart from those of others.
"""

from __future__ import annotations

import os

from fruix.errors import SandboxError
from fruix.sandbox import Bind
from fruix.sandbox.back_ends import current

# The last is where daemons without root have a user's store, and what belongs to it.
_OWN = frozenset({"dev", "proc", "frx"})


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


def _can_be_shown(entry: os.DirEntry[str]) -> bool:
    return entry.is_symlink() or entry.is_dir(follow_symlinks=False) or entry.is_file(follow_symlinks=False)


def _is_writable(path: str) -> bool:
    """Whether its file system is: what is mounted read-only can't be made writable."""
    return os.path.isdir(path) and not os.path.islink(path) and not os.statvfs(path).f_flag & os.ST_RDONLY
