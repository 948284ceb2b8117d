"""What every back end's child does alike on its way to the program: code of ours instead of an exec, reports of failure.

What it does about signals, limits and priorities is in `inherited`.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import json
import os
import socket
import sys
import termios
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from fruix.sandbox.networks import NONE
from fruix.sandbox.spec import Entry, SandboxSpec

SETUP_FAILED = 127
"""Exit status of a child that could not run its program; the status pipe says why."""
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
    """Make the C library and Python load what name resolution needs, while they can."""
    "x".encode("idna")
    with contextlib.suppress(OSError):
        socket.getaddrinfo("localhost", 80, proto=socket.IPPROTO_TCP)


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
