"""A directory of the user's in the place of `/frx`, for one process and its children.

It is a bind in a mount namespace of their own.

Where the host has no `/frx` a root directory is made up that has one: a tmpfs with everything of
the host's root bound into it. Needs power over the mount namespace (see `userns`); nothing of it is
seen outside, and it vanishes with the last process.
"""

from __future__ import annotations

import contextlib
import os
import stat

from fruix.sandbox.linux import libc, userns

PLACE = "/frx"
_OLD = ".host"


def show(directory: str) -> None:
    """Show `directory` at `/frx`.

    Raises:
        IsolationUnavailableError: mounting is refused, by what.
    """
    try:
        here = os.getcwd()
    except FileNotFoundError:  # somebody has removed it
        here = "/"
    try:
        if not os.path.isdir(PLACE):
            _make_up_root()
        libc.mount(os.fsencode(directory), PLACE.encode(), None, libc.MS_BIND | libc.MS_REC)
    except PermissionError as error:
        raise userns.refusal(error) from error
    with contextlib.suppress(OSError):
        os.chdir(here)  # the same directory, by way of the new root


def _make_up_root() -> None:
    """The root becomes a tmpfs that shows all of the old one, and an empty `/frx`."""
    libc.mount(b"tmpfs", b"/tmp", b"tmpfs", libc.MS_NOSUID | libc.MS_NODEV, b"mode=755,size=1m")
    os.mkdir(f"/tmp/{_OLD}")  # noqa: S108 - in the fresh file system
    os.chdir("/tmp")  # noqa: S108
    libc.pivot_root(b".", _OLD.encode())
    os.chdir("/")
    for entry in os.scandir(f"/{_OLD}"):
        _bind(entry, f"/{entry.name}")
    os.mkdir(PLACE, 0o755)
    libc.umount(f"/{_OLD}".encode(), libc.MNT_DETACH)
    os.rmdir(f"/{_OLD}")


def _bind(entry: os.DirEntry[str], target: str) -> None:
    kind = stat.S_IFMT(entry.stat(follow_symlinks=False).st_mode)
    if kind == stat.S_IFLNK:
        os.symlink(os.readlink(entry.path), target)
        return
    if kind == stat.S_IFDIR:
        os.mkdir(target, 0o755)
    elif kind == stat.S_IFREG:
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444))
    else:
        return
    libc.mount(os.fsencode(entry.path), os.fsencode(target), None, libc.MS_BIND | libc.MS_REC)
