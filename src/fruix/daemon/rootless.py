"""Fruix without root (Linux): a user's own store, in a directory that takes the place of `/frx`.

The directory (`home`) is `$XDG_DATA_HOME/fruix`, else `~/.local/share/fruix`. It holds what `/frx`
holds on a machine with a system daemon: `store`, `var/fruix`, `var/log/fruix`, `etc/fruix.toml`.
Daemon and clients see it at `/frx`, each in mount and user namespaces of its own, so that all
paths, in derivations, in results, in scripts, are the same as with root, and no other code knows
the difference.

The daemon is root of its user namespace; clients stay who they are. What is weaker than with root:
docs/isolation.md.
"""

from __future__ import annotations

import os
import socket
import stat
import sys
from collections.abc import Mapping

from fruix.errors import StoreError, UsageError

_NAME = "fruix"
PLACE = "/frx"


def possible() -> bool:
    """Whether this process is to work without root: on Linux, as somebody else."""
    return sys.platform.startswith("linux") and os.geteuid() != 0


def confined() -> bool:
    """Whether this process lives in a user namespace of its own, where no other user can become root."""
    if not sys.platform.startswith("linux"):
        return False
    from fruix.sandbox.linux import userns  # noqa: PLC0415 - that platform's

    return userns.confined()


def home(environment: Mapping[str, str]) -> str:
    """The user's directory.

    Raises:
        UsageError: the environment names none.
    """
    data = environment.get("XDG_DATA_HOME", "")
    if data.startswith("/"):  # the specification wants relative ones ignored
        return f"{data.rstrip('/')}/{_NAME}"
    user = environment.get("HOME", "")
    if not user.startswith("/"):
        raise UsageError(
            "there is no place for a store of your own",
            hint="set HOME or XDG_DATA_HOME to a directory of yours",
        )
    return f"{user.rstrip('/')}/.local/share/{_NAME}"


def prepare(directory: str) -> None:
    """Make it, or see that it is fit.

    Raises:
        StoreError: it belongs to, or can be changed by, somebody else.
    """
    os.makedirs(directory, mode=0o755, exist_ok=True)
    status = os.stat(directory)
    if status.st_uid != os.geteuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise StoreError(
            f"the directory could be changed by others (owner {status.st_uid}, mode"
            f" {stat.S_IMODE(status.st_mode):04o})",
            where=directory,
            hint="it has to be yours, with mode 0755 or less; or set XDG_DATA_HOME to another place",
        )


def become_root(directory: str) -> None:
    """Become root of a user namespace, with `directory` at `/frx`: the daemon's part.

    To be called before there are threads, and before the spawner is forked.

    Raises:
        FruixError: the directory is unfit, or the host allows no user namespace; says which of its
            settings.
    """
    from fruix.sandbox.linux import store_mount, userns  # noqa: PLC0415 - that platform's

    prepare(directory)
    userns.become_root(subordinates=userns.find_subordinates())
    store_mount.show(directory)


def enter_view(directory: str) -> None:
    """A client's part: `directory` at `/frx`, everything else as it was. Before threads.

    Raises:
        FruixError: as for `become_root`.
    """
    from fruix.sandbox.linux import libc, store_mount, userns  # noqa: PLC0415 - that platform's

    prepare(directory)
    userns.stay_oneself()
    store_mount.show(directory)
    libc.drop_all_capabilities()


def answers(directory: str, path: str) -> bool:
    """Whether somebody listens at a socket of the user's own, asked from outside of the view.

    Args:
        directory: the user's.
        path: the socket's name in the view.
    """
    outside = f"{directory}{path.removeprefix(PLACE)}" if path.startswith(f"{PLACE}/") else path
    try:
        parent = os.open(os.path.dirname(outside), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        with socket.socket(socket.AF_UNIX) as asking:
            # By descriptor: the name may be longer than a socket's address can hold.
            asking.connect(f"/proc/self/fd/{parent}/{os.path.basename(outside)}")
    except OSError:
        return False
    finally:
        os.close(parent)
    return True
