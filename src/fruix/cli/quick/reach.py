"""The system's daemon and logs, or a user's own, whose store this process needs not see for that."""

from __future__ import annotations

import os
import sys

from fruix.client.question import Question
from fruix.client.socket_name import socket_path
from fruix.store import places

TYPE_CHECKING = False  # what `typing` has, without loading it
if TYPE_CHECKING:
    from collections.abc import Mapping

_PLACE = "/frx"  # `rootless.PLACE`


def daemon(environment: Mapping[str, str]) -> Question:
    """A greeted connection.

    Raises:
        OSError, ValueError, FruixError: none answers as is usual.
    """
    address = socket_path(environment)
    try:
        return Question(address)
    except OSError:
        return Question(_below(_own_home(environment), address))


def logs(environment: Mapping[str, str]) -> str:
    """The directory of logs; without root the user's own, unless the system's daemon answers.

    Raises:
        OSError, ValueError, FruixError: something is not as usual.
    """
    directory = places.directory(environment, "log")
    if _has_one_store():
        return directory
    try:
        with Question(socket_path(environment)):
            return directory
    except OSError:
        return _below(_own_home(environment), directory)


def _has_one_store() -> bool:
    """Whether the system's store is all that this process could mean by `/frx`."""
    return os.geteuid() == 0 or not sys.platform.startswith("linux")


def _own_home(environment: Mapping[str, str]) -> str:
    """The directory that a user has in place of `/frx`.

    Raises:
        OSError: the user has none, or others could change it.
    """
    if _has_one_store():
        raise OSError("there are no others")
    from fruix.daemon.rootless import home  # noqa: PLC0415 - without root alone

    found = home(environment)
    status = os.stat(found)
    if status.st_uid != os.geteuid() or status.st_mode & 0o22:
        raise OSError("others could change it")
    return found


def _below(home: str, path: str) -> str:
    """The name that a path of the user's own store has for who does not see that at its place."""
    return home + path.removeprefix(_PLACE) if path.startswith(f"{_PLACE}/") else path
