"""The directory for the profiles of a user, which clients of Guix expect to be there once they are connected.

guix-daemon makes `profiles/per-user/NAME` for whoever connects; the client then makes links in it.
"""

from __future__ import annotations

import os
import pwd
from contextlib import suppress

from fruix.store.layout import Layout
from fruix.store.tree.descriptors import OPEN_DIRECTORY, exists

_MODE = 0o755


def make_profile_directory(layout: Layout, uid: int, gid: int) -> None:
    """Make it, owned by the user; nothing happens where it is, or where the user has no name.

    Raises:
        OSError: it can't be made; a client that needs it says so itself.
    """
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        return
    if not name or "/" in name or name.startswith("."):
        return
    parent = os.open(f"{layout.profiles}/per-user", OPEN_DIRECTORY)
    try:
        if not exists(parent, name):
            _make(parent, name, uid, gid)
    finally:
        os.close(parent)


def _make(parent: int, name: str, uid: int, gid: int) -> None:
    """Under another name first: what a crash leaves is taken up by the next connection.

    Nobody but the daemon can write in the parent; another session of the user may do the same now.
    """
    new = f".{name}"
    with suppress(FileExistsError):
        os.mkdir(new, _MODE, dir_fd=parent)
    with suppress(FileNotFoundError):
        os.chown(new, uid, gid, dir_fd=parent, follow_symlinks=False)
        os.rename(new, name, src_dir_fd=parent, dst_dir_fd=parent)
