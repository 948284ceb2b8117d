"""Which socket a client talks to, for those that can afford to import next to nothing.

The peers' variables count too, so that one environment serves all clients.
"""

from __future__ import annotations

from fruix.errors import UsageError
from fruix.store import places

TYPE_CHECKING = False  # what `typing` has, without loading it
if TYPE_CHECKING:
    from collections.abc import Mapping

_SCHEME = "unix://"
# Variables that hold a file name or unix:// address, the most particular first.
_VARIABLES = ("FRUIX_DAEMON_SOCKET", "NIX_REMOTE", "NIX_DAEMON_SOCKET_PATH", "GUIX_DAEMON_SOCKET")
# Values of NIX_REMOTE that name no place: "the daemon", wherever that is.
_SILENT = frozenset({"", "daemon", "auto"})


def socket_path(environment: Mapping[str, str]) -> str:
    """The socket's file name.

    Raises:
        UsageError: a variable names something that is no local socket.
    """
    for variable in _VARIABLES:
        value = environment.get(variable, "")
        if value in _SILENT:
            continue
        path = value.removeprefix(_SCHEME).partition("?")[0]
        if path.startswith("/"):
            return path
        raise UsageError(
            f"'{value}' is no local socket",
            where=variable,
            hint="a file name like /frx/var/fruix/daemon-socket/socket",
        )
    return places.socket(places.directory(environment, "state"))
