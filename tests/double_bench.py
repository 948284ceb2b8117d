"""Calls of FreeBSD's system, on the double, to try one by one."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from freebsd_double.double import Double
from freebsd_double.kernel_state import Machine
from fruix.sandbox.freebsd import abi
from fruix.sandbox.freebsd.abi import Pair, buffer, text
from fruix.sandbox.freebsd.kernel import KernelError

CREATE, ATTACH, UPDATE = abi.JAIL_CREATE, abi.JAIL_ATTACH, abi.JAIL_UPDATE


class Bench:
    """A double with its scratch directory, and short ways to call it."""

    def __init__(self, scratch: Path, machine: Machine | None = None) -> None:
        self.scratch = scratch
        (scratch / "kernel").mkdir()
        self.kernel = Double(str(scratch / "kernel"), machine)
        self.root = self.directory("root")

    def directory(self, name: str) -> str:
        path = self.scratch / name
        path.mkdir(parents=True, exist_ok=True)
        return str(path)

    def mount(self, fstype: str, target: str, source: str = "", *more: Pair, flags: int = 0) -> None:
        pairs = [text("fstype", fstype.encode()), text("fspath", target.encode())]
        if source:
            pairs.append(text("from", source.encode()))
        self.kernel.nmount([*pairs, *more, buffer("errmsg", 255)], flags)

    def jail(self, *more: Pair, name: str = "frx-a", flags: int = CREATE) -> int:
        pairs = [text("path", self.root.encode()), text("name", name.encode()), *more]
        return self.kernel.jail_set([*pairs, buffer("errmsg", 256)], flags)

    def find(self, *pairs: Pair, flags: int = 0) -> int:
        return self.kernel.jail_get([*pairs, buffer("errmsg", 256)], flags)

    def mounted(self) -> list[tuple[str, str]]:
        return [
            (row.fstype.decode(), row.target.decode())
            for row in self.kernel.getfsstat()
            if row.target != b"/"
        ]


def fails(number: int, message: str, call: Callable[[], object]) -> None:
    with pytest.raises(KernelError) as caught:
        call()
    assert (errno.errorcode[caught.value.errno or 0], caught.value.errmsg) == (
        errno.errorcode[number],
        message,
    )


def in_child(action: Callable[[], object]) -> str:
    """What `action` returns, or its error, in a process of its own."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _close_directories()
        try:
            os.write(writing, str(action()).encode())
        except BaseException as error:  # noqa: BLE001
            os.write(writing, f"{type(error).__name__} {error}".encode())
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, encoding="utf-8") as file:
        answer = file.read()
    os.waitpid(pid, 0)
    return answer


def _close_directories() -> None:
    """Of other tests in this process, which would forbid entering a jail."""
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            if stat.S_ISDIR(os.fstat(int(name)).st_mode):
                os.close(int(name))
