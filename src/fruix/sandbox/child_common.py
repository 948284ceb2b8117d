"""What a sandbox's first process does alike on every platform on its way to the program.

It takes the platform's steps, reports the one that fails, and runs entry points in the place of
programs.

What it does about signals, limits and priorities is in `process_defaults`.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import os
import signal
import socket
import sys
import termios
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, Protocol, TypeVar

from fruix import failpoints
from fruix.sandbox.networks import NONE
from fruix.sandbox.spawner.ipc import Failed, encode
from fruix.sandbox.spec import Entry, SandboxSpec

SETUP_FAILED = 127
"""Exit status of a child that could not run its program; the status pipe says why."""

EntryPoint = Callable[[Mapping[str, Any]], int]


class ChildState(Protocol):
    """What a platform's steps need; they may move the status pipe to another number."""

    status: int


State = TypeVar("State", bound=ChildState)
Steps = Sequence[tuple[str, Callable[[State], None]]]


def take_steps(state: State, steps: Steps[State], begin: Callable[[State], None]) -> NoReturn:
    """Call `begin`, then take the steps, the last of which runs the program. Never returns.

    The first step that fails is reported over the status pipe and ends the process; `begin` counts
    as the step "release".
    """
    step = "release"
    try:
        begin(state)
        failpoints.strike_by(lambda victim: _strike(victim, state.status))
        for step, action in steps:
            failpoints.reach(step)
            action(state)
    except BaseException as error:  # noqa: BLE001 - whatever it is has to reach the spawner
        report(state.status, step, error)
    finally:
        os._exit(SETUP_FAILED)


def _strike(victim: str, status: int) -> None:
    """Have the spawner kill `victim`: from inside the sandbox its number is not known.

    Only the process itself is, except to the kernel where it is the first one of a process namespace: such a
    process can't kill itself.
    """
    if victim == "builder" and os.getpid() != 1:
        os.kill(os.getpid(), signal.SIGKILL)
    os.write(status, failpoints.MARK + victim.encode())
    while not victim.isdecimal():  # this process dies with the victim; after a client's death it goes on
        signal.pause()


def report(status: int, step: str, error: BaseException) -> None:
    """Tell over the status pipe which step failed and why."""
    code = error.errno if isinstance(error, OSError) and error.errno else 0
    if not isinstance(error, OSError):
        detail = f"{type(error).__name__}: {error}"
    else:
        detail = str(error.strerror).removeprefix(os.strerror(code)).removeprefix(": ")
    os.write(status, encode(Failed(step, code, detail)))


def take_terminal(terminal: int) -> None:
    """Make the inner end of a terminal pair this session's controlling terminal.

    The session must have none yet.
    """
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)


def load_entry(spec: SandboxSpec) -> EntryPoint | None:
    """The function that runs in the place of a program; imported while there are files to import from."""
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
    """Run a function in the place of a program; only the standard descriptors are open."""
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", errors="replace", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="replace", closefd=False)
    code = SETUP_FAILED
    try:
        code = entry(arguments)
    finally:
        sys.stdout.flush()
        os._exit(code)
