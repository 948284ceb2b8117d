"""System names: `x86_64-linux` and the like, from what the kernel calls itself."""

from __future__ import annotations

_MACHINES = {
    "amd64": "x86_64",
    "x86_64": "x86_64",
    "arm64": "aarch64",
    "aarch64": "aarch64",
    "i386": "i686",
    "i686": "i686",
}


def this_system(sysname: str, machine: str) -> str:
    """The system of a kernel (`uname -s`, `uname -m`), like `x86_64-linux` or `aarch64-freebsd`."""
    return f"{common_name(machine)}-{sysname.lower()}"


def common_name(machine: str) -> str:
    """A machine's name as systems have it.

    FreeBSD's kernel says `amd64` and `arm64` where Linux's says otherwise.
    """
    return _MACHINES.get(machine, machine)
