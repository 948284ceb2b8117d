"""Directories of builds that are kept for the next ones, empty as they were made.

A file system may need milliseconds to delete a directory: ext4 that discards what it frees, and has no
journal, asks the disk each time. So the directories of a build that has left nothing in them are given
another name, and a build to come takes them.

    builds/spare/NUMBER/         0700 root
    builds/spare/NUMBER/root/    the same four as in a build's directories
    builds/spare/NUMBER/tmp/
    builds/spare/NUMBER/store/
    builds/spare/NUMBER/build/

All are root's, and no builder could change more of them than what lies in them (those in which it may write
are sticky), but for the working directory, which was a builder's own and may have been given attributes: that
is made anew when they are kept, so that the next build need not wait for it. Which builds take and leave
some: `PreparedBuilder.lasting_points`.

Where a build saw a few inputs their mount points stay in `store`, for a build that needs the same; then
NUMBER is followed by what tells these (where they are many, `kept_points` keeps the store alone).
"""

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import suppress
from hashlib import sha256

from fruix.building.crashed import SPARE
from fruix.building.kept_points import is_mount_point
from fruix.store.tree.delete import delete_tree
from fruix.store.tree.descriptors import lstat, opened_directory

KEPT = ("root", "tmp", "store")
FRESH = "build"
MOST = 4
"""How many are kept."""
_SIZE = 4096  # bytes of a directory that has not been large, on any file system that tells them differently


def take(builds: int, path: str, name: str, points: Collection[str]) -> bool:
    """Have one as `name`, in the open directory of builds; False if there is none.

    In its store are the mount points of these names, or nothing. `path` is that of the open directory.
    """
    with suppress(FileNotFoundError):
        mark = _mark(points)
        # Best with these mount points, else with none.
        for spare in sorted(os.listdir(f"{path}/{SPARE}"), key=lambda one: (one[1:] != mark, one[1:])):
            with suppress(FileNotFoundError):  # another build was quicker
                os.rename(f"{SPARE}/{spare}", name, src_dir_fd=builds, dst_dir_fd=builds)
                if spare[1:] != mark:
                    with opened_directory(builds, f"{name}/store") as store:
                        for point in os.listdir(store):
                            delete_tree(store, os.fsencode(point))
                return True
    return False


def keep(builds: int, path: str, name: str, points: Collection[str]) -> bool:
    """Keep those of a build of which nothing is alive; False: something is in them, or there are enough.

    But for these mount points in the store, of which none may be missing. Nobody but root gets at `root`
    outside of a sandbox. There is no working directory.
    """
    sizes = {lstat(builds, f"{name}/{child}").st_size for child in KEPT}
    if len(sizes) > 1 and max(sizes) > _SIZE:
        return False  # one that has been large is larger than the others
    tmp, store = ({*os.listdir(f"{path}/{name}/{child}")} for child in KEPT[1:])
    if tmp or store != {*points} or not _are_mount_points(builds, f"{name}/store", points):
        return False
    there = {spare[:1] for spare in _spares(builds, path)}
    mark = _mark(points)
    os.mkdir(f"{name}/{FRESH}", 0o700, dir_fd=builds)
    for number in (number for number in map(str, range(MOST)) if number not in there):
        with suppress(OSError):  # there is one by now
            os.rename(name, f"{SPARE}/{number}{mark}", src_dir_fd=builds, dst_dir_fd=builds)
            return True
    os.rmdir(f"{name}/{FRESH}", dir_fd=builds)
    return False


def _spares(builds: int, path: str) -> list[str]:
    """Those that there are, in a directory that is there afterwards."""
    try:
        return os.listdir(f"{path}/{SPARE}")
    except FileNotFoundError:
        with suppress(FileExistsError):
            os.mkdir(SPARE, 0o700, dir_fd=builds)
        return []


def _are_mount_points(builds: int, path: str, points: Collection[str]) -> bool:
    with opened_directory(builds, path) as store:
        return all(is_mount_point(store, point) for point in points)


def _mark(points: Collection[str]) -> str:
    """What tells mount points from others; nothing if there are none."""
    return f"-{sha256(chr(0).join(sorted(points)).encode()).hexdigest()[:32]}" if points else ""
