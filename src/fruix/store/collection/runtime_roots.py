"""Roots of running processes: store paths that they execute, have open or mapped, work in, or name.

Linux: `/proc/PID/{exe,cwd,root,fd/*}`, `maps` and `environ`, and what the kernel itself runs
(`/proc/sys/kernel`). FreeBSD: the same from `sysctl` (see `processes_freebsd`). A process that goes
meanwhile, or that this user may not look into, is passed over.

Cost: some 50 µs a process, and 5 µs a descriptor.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import suppress

from fruix.errors import BadStorePathError
from fruix.model.storepath import StorePath

_LINKS = ("exe", "cwd", "root")
_FILES = ("maps", "environ")
_KERNEL = ("modprobe", "fbsplash", "poweroff_cmd")
_MOST = 64 << 20  # bytes of one file that are looked at


def runtime_roots(store: str) -> Iterator[tuple[str, StorePath]]:
    """Yield where each was found, as the peers name it (`/proc/1/exe`), and the path; perhaps not valid.

    `store` is the store directory. The same may come more than once.
    """
    mentioned = re.compile(re.escape(os.fsencode(store)) + rb"/([0-9a-z]{32}-[0-9a-zA-Z+\-._?=]{1,211})")
    for where, data in _linux() if sys.platform.startswith("linux") else _freebsd():
        for base in mentioned.findall(data):
            with suppress(BadStorePathError):
                yield where, StorePath.of(store, base.decode())


def _freebsd() -> Iterator[tuple[str, bytes]]:
    from fruix.store.collection import processes_freebsd  # noqa: PLC0415 - the other system's

    return processes_freebsd.mentions()


def _linux() -> Iterator[tuple[str, bytes]]:
    for process in os.listdir("/proc"):
        if process.isdecimal():
            yield from _process(f"/proc/{process}")
    for name in _KERNEL:
        with suppress(OSError):
            yield f"/proc/sys/kernel/{name}", _contents(f"/proc/sys/kernel/{name}")


def _process(directory: str) -> Iterator[tuple[str, bytes]]:
    links = [f"{directory}/{name}" for name in _LINKS]
    with suppress(OSError):
        links += [f"{directory}/fd/{name}" for name in os.listdir(f"{directory}/fd")]
    for link in links:
        with suppress(OSError):
            yield link, os.fsencode(os.readlink(link)).removesuffix(b" (deleted)")
    for name in _FILES:
        with suppress(OSError):
            yield f"{directory}/{name}", _contents(f"{directory}/{name}")


def _contents(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(_MOST)
