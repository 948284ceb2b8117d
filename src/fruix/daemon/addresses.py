"""Where a daemon listens: names of sockets in the file system, and TCP ports as Guix's clients know them.

TCP is for tunnels and for machines that trust their network: nothing is encrypted and nobody says
who they are. Such clients are never trusted (`peers.REMOTE`).
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import ExitStack

from fruix.daemon.listening import BACKLOG, forget, listen
from fruix.errors import UsageError
from fruix.log import Log

log = Log("fruix.daemon")

# Guix's, for addresses that name none.
DEFAULT_PORT = 44146


def listen_at(closing: ExitStack, addresses: Sequence[str]) -> list[socket.socket]:
    """Listen at each; all is closed and forgotten with `closing`.

    Raises:
        UsageError: a host that there is not, or no port.
        FruixError: as `listening.listen`.
        OSError: taken, or not allowed.
    """
    found = []
    for address in addresses:
        if address.startswith("/"):
            found.append(listen(address))
            closing.callback(forget, address)
        else:
            found += _listen_tcp(address)
    for listener in found:
        closing.callback(listener.close)
    return found


def _listen_tcp(address: str) -> list[socket.socket]:
    host, port = host_and_port(address)
    try:
        rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise UsageError(f"can't listen at '{address}': {error.strerror}") from error
    log.warning(
        "listening at %s: whoever reaches that port can use this daemon, and nothing is encrypted", address
    )
    return [_bound(family, where) for family, _, _, _, where in dict.fromkeys(rows)]


def _bound(family: int, where: object) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:  # IPv4 has a socket of its own
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(where)  # type: ignore[arg-type]
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def host_and_port(address: str) -> tuple[str, int]:
    """`localhost`, `localhost:1234`, `[::1]:1234`, `::1`.

    Raises:
        UsageError: the port is no number from 0 to 65535.
    """
    host, colon, port = address.rpartition(":")
    if address.endswith("]") or not colon or (":" in host.strip("[]") and not host.startswith("[")):
        host, port = address, str(DEFAULT_PORT)
    if not port.isascii() or not port.isdecimal() or int(port) >= 1 << 16:
        raise UsageError(f"'{address}' has no port that there is", hint="an absolute file name, or HOST:PORT")
    return host.removeprefix("[").removesuffix("]"), int(port)
