"""What a machine can isolate: how a back end's table of probes is run, and which modules Python lacks.

`fruix doctor` shows the results. Each probe tries the thing itself, in a child that is thrown away.

A capability that builds need and that is missing makes builds fail with an error of the step
concerned; here it gets a name, the reason, and what to do about it. Run in a small single-threaded
process: it forks.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence

from fruix.dataclass import dataclass

# Modules of the standard library that not every Python has, and what Fruix needs each for: they are
# built against libraries that may be missing, or are packages of their own (FreeBSD's
# `py311-sqlite3`).
NEEDED: Mapping[str, str] = {
    "sqlite3": "the store's database",
    "zlib": "build logs",
    "ctypes": "system calls",
    "termios": "terminals",
}
EXTRAS: Mapping[str, str] = {
    "ssl": "downloads by https",
    "lzma": "unpacking what xz has packed",
    "bz2": "unpacking what bzip2 has packed",
}
_REMEDY = "install a Python that has it (FreeBSD: pkg install py311-sqlite3 and the like)"


@dataclass(frozen=True, slots=True)
class Capability:
    """One line of the doctor's: `needed` by every build, or an extra."""

    name: str
    available: bool
    detail: str
    needed: bool = True
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Probe:
    """One thing to try: `attempt` returns a detail, or raises OSError with the reason.

    It runs in a child of its own if it changes its process.
    """

    name: str
    attempt: Callable[[], str]
    remedy: str
    needed: bool = True
    in_child: bool = True


def probe(probes: Sequence[Probe]) -> list[Capability]:
    """Try everything; in the order of the table."""
    return [_run(item) for item in probes]


def _run(item: Probe) -> Capability:
    try:
        detail = in_child(item.attempt) if item.in_child else item.attempt()
    except Exception as error:  # noqa: BLE001 - whatever a probe says is the answer
        return Capability(item.name, False, str(error), item.needed, item.remedy)
    return Capability(item.name, True, detail, item.needed)


def in_child(attempt: Callable[[], str]) -> str:
    """Run a probe that changes its process; its answer comes back over a pipe."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writing, b"+" + attempt().encode())
        except BaseException as error:  # noqa: BLE001 - goes to the parent
            os.write(writing, f"-{error}".encode()[:2000])
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as file:
        answer = file.read().decode("utf-8", "replace")
    os.waitpid(pid, 0)
    if not answer.startswith("+"):
        raise OSError(answer[1:] or "the probe was killed")
    return answer[1:]


def python_probes() -> Sequence[Probe]:
    """What to look for in the Python that runs this, on every system: a probe for each table."""
    return (
        Probe("python", lambda: _look(NEEDED), _REMEDY, in_child=False),
        Probe("python extras", lambda: _look(EXTRAS), _REMEDY, needed=False, in_child=False),
    )


def _missing(names: Mapping[str, str]) -> list[str]:
    """The modules of a table that can't be imported, in its order."""
    found = []
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError:
            found.append(name)
    return found


def _look(names: Mapping[str, str]) -> str:
    version = sys.version.split()[0]
    if lacking := _missing(names):
        raise OSError(f"Python {version} lacks " + ", ".join(f"{name} ({names[name]})" for name in lacking))
    return f"Python {version} with {', '.join(names)}"
