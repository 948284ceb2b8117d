"""Directories of builds that are kept for the next ones, empty as they were made.

A file system may need milliseconds to delete a directory: ext4 that discards what it frees, and has no
journal, asks the disk each time. So the directories of a build that has left nothing in them are given
another name, and a build to come takes them.

    builds/spare/NUMBER/         0700 root
    builds/spare/NUMBER/root/    the same three as in a build's directories
    builds/spare/NUMBER/tmp/
    builds/spare/NUMBER/store/

All four are root's, and no builder could change more of them than what lies in them (those in which it may
write are sticky). The working directory was a builder's own, which may have given it attributes: it is made
anew. Which builds take and leave some: `PreparedBuilder.lasting_points`.
"""

from __future__ import annotations

import os
from contextlib import suppress

from fruix.building.crashed import SPARE
from fruix.store.tree.descriptors import lstat

KEPT = ("root", "tmp", "store")
MOST = 4
"""How many are kept."""


def take(builds: int, name: str) -> bool:
    """Have one as `name`, in the open directory of builds; False if there is none."""
    for number in range(MOST):
        with suppress(FileNotFoundError):
            os.rename(f"{SPARE}/{number}", name, src_dir_fd=builds, dst_dir_fd=builds)
            return True
    return False


def keep(builds: int, path: str, name: str) -> bool:
    """Keep those of a build of which nothing is alive; False: something is in them, or there are enough.

    `path` is that of the open directory `builds`. Nobody but root gets at `root` outside of a sandbox.
    """
    sizes = {lstat(builds, f"{name}/{child}").st_size for child in KEPT}
    if len(sizes) > 1 or any(os.listdir(f"{path}/{name}/{child}") for child in KEPT[1:]):
        return False  # one that has been large is larger than the others
    for number in range(MOST):
        try:
            os.rename(name, f"{SPARE}/{number}", src_dir_fd=builds, dst_dir_fd=builds)
        except FileNotFoundError:
            with suppress(FileExistsError):
                os.mkdir(SPARE, 0o700, dir_fd=builds)
        except OSError:  # there is one
            continue
        else:
            return True
    return False
