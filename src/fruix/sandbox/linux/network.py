"""The loopback interface and default routes of a network namespace, without tools."""

from __future__ import annotations

import fcntl
import socket
import struct
from collections.abc import Iterable

_SIOCSIFFLAGS = 0x8914
_IFF_UP, _IFF_LOOPBACK, _IFF_RUNNING = 1, 8, 64


# proc(5): destination and flags; a default route is up (1) and, in IPv4's table, has destination 0.
_ROUTES, _ROUTES_6 = "/proc/self/net/route", "/proc/self/net/ipv6_route"
_TCP, _TCP_6 = "/proc/self/net/tcp", "/proc/self/net/tcp6"  # number, local address, remote one, state
_LISTENS = "0A"
_UP, _REJECT = 1, 0x200


def loopback_up() -> None:
    """Bring `lo` up; 127.0.0.1 and ::1 come by themselves."""
    # The plain type: `socket.socket` looks up names for its numbers, and each page that a new process
    # writes to has to be copied first.
    control = socket.SocketType(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    try:
        request = struct.pack("16sh22x", b"lo", _IFF_UP | _IFF_LOOPBACK | _IFF_RUNNING)
        fcntl.ioctl(control.fileno(), _SIOCSIFFLAGS, request)
    finally:
        control.close()


def has_default_route() -> bool:
    """Whether this network namespace has a default route, by IPv4 or IPv6."""
    for line in _lines(_ROUTES)[1:]:
        fields = line.split()
        if fields[1] == "00000000" and int(fields[3], 16) & _UP and fields[7] == "00000000":
            return True
    for line in _lines(_ROUTES_6):
        fields = line.split()
        flags = int(fields[8], 16)
        if fields[0] == "0" * 32 and fields[1] == "00" and flags & _UP and not flags & _REJECT:
            return True
    return False


def are_listening(ports: Iterable[int]) -> bool:
    """Whether somebody listens at each of these TCP ports in this network namespace."""
    found = set()
    for line in (*_lines(_TCP)[1:], *_lines(_TCP_6)[1:]):
        fields = line.split()
        if fields[3] == _LISTENS:
            found.add(int(fields[1].rpartition(":")[2], 16))
    return found.issuperset(ports)


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().splitlines()
    except FileNotFoundError:  # a kernel without that protocol
        return []
