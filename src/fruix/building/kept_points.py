"""Stores of sandboxes that are kept for the mount points in them: made once and used again.

Each input that a build sees is mounted on an empty directory or file in the build's own store directory, on
the disk, where its outputs appear beside them. To make and delete five hundred of those costs a file system
more than the mounts: ext4 looks, for each new file, past all that were deleted in the last minute. So the
store directory of a build that saw many inputs is kept. The next build that needs most of its mount points
takes it, and makes and deletes what differs.

    builds/points/NAME/    0700 root; NAME: of the build that it is from

Nothing of a build stays in one: what isn't root's is deleted before it is kept, and what is root's no builder
can change. Which builds take and leave some: `PreparedBuilder.lasting_points`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable
from contextlib import suppress

from fruix.building.crashed import POINTS
from fruix.store.tree.delete import delete_tree
from fruix.store.tree.descriptors import lstat, opened_directory

MOST = 4
"""Directories that are kept."""
FEWEST = 32
"""Mount points for which it is worth it."""
_DIRECTORY_MODE = 0o755


def take(builds: int, base: int, name: str, wanted: Collection[str]) -> bool:
    """Put the kept directory that fits best into `base` as `name`; False if none fits.

    It then holds mount points of these names alone, though maybe not all of them.

    Args:
        builds: the open directory of builds.
        base: that of one build.
        name: of the store directory in it.
        wanted: names of its mount points.
    """
    if len(wanted) < FEWEST:
        return False
    try:
        with opened_directory(builds, POINTS) as kept:
            fits = ((_worth(kept, one, wanted), one) for one in os.listdir(kept))
            worth, best = max(fits, default=(0, ""))
            if worth <= 0:
                return False
            os.rename(best, name, src_dir_fd=kept, dst_dir_fd=base)
    except FileNotFoundError:  # none was kept yet, or another build was quicker
        return False
    with opened_directory(base, name) as directory:
        _delete(directory, {*os.listdir(directory)}.difference(wanted))
    return True


def keep(builds: int, build: str, name: str) -> None:
    """Keep the directory `name` of a build of which nothing is alive, if it has many mount points.

    What is not kept lies in the directory of the build afterwards, to be deleted with it: also those that
    were not used for longest, since another build may take any of the kept ones at any time.
    """
    with opened_directory(builds, build) as base:
        with opened_directory(base, name) as directory:
            found = os.listdir(directory)
            points = [point for point in found if is_mount_point(directory, point)]
            _delete(directory, {*found}.difference(points))
            if len(points) < FEWEST:
                return
            os.fchown(directory, os.geteuid(), os.getegid())
            os.fchmod(directory, 0o700)
        with suppress(FileExistsError):
            os.mkdir(POINTS, 0o700, dir_fd=builds)
        with opened_directory(builds, POINTS) as kept:
            others = sorted(os.listdir(kept), key=lambda one: os.stat(one, dir_fd=kept).st_ctime_ns)
            os.rename(name, build, src_dir_fd=base, dst_dir_fd=kept)
            for old in others[: max(0, len(others) + 1 - MOST)]:
                with suppress(FileNotFoundError):  # taken
                    os.rename(old, old, src_dir_fd=kept, dst_dir_fd=base)


def _worth(kept: int, one: str, wanted: Collection[str]) -> int:
    """How many mount points need not be made, less those that are to be deleted."""
    with opened_directory(kept, one) as directory:
        found = {*os.listdir(directory)}
    common = len(found.intersection(wanted))
    return common - (len(found) - common)


def _delete(directory: int, names: Iterable[str]) -> None:
    """Delete these of what lies in an open directory."""
    for name in names:
        delete_tree(directory, os.fsencode(name))


def is_mount_point(directory: int, point: str) -> bool:
    """Whether it is as a sandbox made it: this process's own user's, which is no builder's, and empty."""
    status = lstat(directory, point)
    if status.st_uid != os.geteuid():
        return False
    if stat.S_ISDIR(status.st_mode):
        return stat.S_IMODE(status.st_mode) == _DIRECTORY_MODE
    return stat.S_ISREG(status.st_mode) and status.st_size == 0 and status.st_nlink == 1
