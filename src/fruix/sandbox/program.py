"""What every back end's child does alike on its way to the program: signals, limits, code of ours instead of an exec, reports of failure."""

from __future__ import annotations

import fcntl
import importlib
import json
import os
import resource
import signal
import socket
import sys
import termios
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from fruix.sandbox.networks import NONE
from fruix.sandbox.spec import Entry, SandboxSpec

SETUP_FAILED = 127
"""Exit status of a child that could not run its program; the status pipe says why."""
_MIB = 1 << 20
# Open files as service managers give them: the daemon's own limit may be high, and there are programs that close all up to theirs.
_DEFAULT_LIMITS: Mapping[str, tuple[int, int]] = {
    "core": (0, 0),
    "stack": (8 * _MIB, -1),
    "nofile": (1024, 524288),
}
_REPORT_SIZE = 4096

EntryPoint = Callable[[Mapping[str, Any]], int]


def report(status: int, step: str, error: BaseException) -> None:
    """Tell over the status pipe which step failed and why."""
    code = error.errno if isinstance(error, OSError) and error.errno else 0
    if not isinstance(error, OSError):
        detail = f"{type(error).__name__}: {error}"
    else:
        detail = str(error.strerror).removeprefix(os.strerror(code)).removeprefix(": ")
    os.write(status, json.dumps({"step": step, "errno": code, "detail": detail}).encode()[:_REPORT_SIZE])


def default_signals() -> None:
    """As a program expects them.

    CPython ignores SIGPIPE and SIGXFSZ, and an exec would keep that; handlers are reset by the exec itself.
    """
    ignored = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
    for number in (*ignored, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def take_terminal(terminal: int) -> None:
    """Make the inner end of a terminal pair the controlling terminal of our session, which must have none yet."""
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)


def load_entry(spec: SandboxSpec) -> EntryPoint | None:
    """Code of ours that runs instead of an exec: imported while there are files to import from."""
    program = spec.program
    if not isinstance(program, Entry):
        return None
    module, _, function = program.function.partition(":")
    entry: EntryPoint = getattr(importlib.import_module(module), function)
    if spec.network != NONE:
        _warm_resolver()
    return entry


def _warm_resolver() -> None:
    """Make the C library load what name resolution needs, while it can."""
    try:
        socket.getaddrinfo("localhost", 80, proto=socket.IPPROTO_TCP)
    except OSError:
        return
    "x".encode("idna")


def run_entry(entry: EntryPoint, arguments: Mapping[str, Any]) -> NoReturn:
    """Run code of ours; the standard descriptors are all that is open."""
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", errors="replace", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="replace", closefd=False)
    code = SETUP_FAILED
    try:
        code = entry(arguments)
    finally:
        sys.stdout.flush()
        os._exit(code)


def set_limits(limits: Mapping[str, tuple[int, int]]) -> None:
    """Resource limits by name (`RLIMIT_…` in lower case) → (soft, hard); those of every build besides."""
    for name, wanted in {**_DEFAULT_LIMITS, **limits}.items():
        which = getattr(resource, f"RLIMIT_{name.upper()}")
        resource.setrlimit(which, _within(wanted, resource.getrlimit(which)[1]))


def _within(wanted: tuple[int, int], present: int) -> tuple[int, int]:
    """A limit no higher than the hard one that is there: raising that takes a capability that containers' root lacks."""

    def lower(value: int, bound: int) -> int:
        unlimited = resource.RLIM_INFINITY
        if value == -1:  # on Linux the same, on FreeBSD the largest number
            value = unlimited
        return bound if bound != unlimited and (value == unlimited or value > bound) else value

    hard = lower(wanted[1], present)
    return lower(wanted[0], hard), hard
