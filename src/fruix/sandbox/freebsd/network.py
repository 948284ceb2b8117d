"""The loopback interface of a jail's own network stack."""

from __future__ import annotations

import socket

from fruix.sandbox.freebsd import abi
from fruix.sandbox.freebsd.kernel import Kernel


def loopback_up(kernel: Kernel) -> None:
    """Give lo0 its address and bring it up; ::1 comes by itself. Call inside the jail: a socket belongs to its maker's stack."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        kernel.ioctl(control.fileno(), abi.SIOCAIFADDR, abi.loopback_address())
        request = abi.interface_flags(0)
        kernel.ioctl(control.fileno(), abi.SIOCGIFFLAGS, request)
        flags = abi.interface_flags_in(request)
        if not flags & abi.IFF_UP:
            kernel.ioctl(control.fileno(), abi.SIOCSIFFLAGS, abi.interface_flags(flags | abi.IFF_UP))
