"""Bringing back what a failed build left (see `keep_failed`).

Somebody can look around in it as the builder saw it.

A copy again, the other way round: from its owner's directory into a build's fresh ones, the files
being the build user's then. By then the owner may have changed it in any way, so the copying is as
careful as the first time: no link is followed, and only directories, symlinks and files of the
owner's are taken.
"""

from __future__ import annotations

import os
import stat

from fruix.building.workspace import Workspace, name_prefix
from fruix.errors import ObjectRejectedError
from fruix.model.storepath import StorePath
from fruix.store.tree import delete_tree, open_chain
from fruix.store.tree.copy_for_user import Keeper

_PARTS = (b"build", b"tmp", b"store")


def find_kept(kept: str, uid: int, path: StorePath) -> str | None:
    """The latest kept directories of a user's failed builds of `path`, or None.

    Args:
        kept: the directory of all kept builds.
        uid: whose.
        path: the derivation.
    """
    mine = f"{kept}/{uid}"
    try:
        with os.scandir(mine) as entries:
            found = [
                (entry.stat(follow_symlinks=False).st_ctime_ns, entry.path)
                for entry in entries
                if entry.name.startswith(name_prefix(path)) and entry.is_dir(follow_symlinks=False)
            ]
    except FileNotFoundError:
        return None
    return max(found)[1] if found else None


def bring_back(directory: str, area: Workspace, owner: int, build_uid: int, room: int) -> int:
    """Copy kept directories into a build's; how many files were left out.

    Raises:
        ObjectRejectedError: one of them is no directory, or they are more than `room` bytes.
        OSError: as the system says.
    """
    source, target = open_chain(directory), open_chain(area.base)
    try:
        keeper = Keeper(owner, build_uid, build_uid, room)
        for name in _PARTS:
            if name.decode() not in os.listdir(source):
                continue
            if not stat.S_ISDIR(os.stat(name, dir_fd=source, follow_symlinks=False).st_mode):
                raise ObjectRejectedError(f"'{name.decode()}' is no directory", where=directory)
            delete_tree(target, name)
            keeper.copy(source, name, target)
        return keeper.skipped
    finally:
        os.close(source)
        os.close(target)
