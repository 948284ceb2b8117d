"""Failpoints: faults on purpose, at named steps of a build, by which tests see what a crash there leaves.

A fault is a text, armed in the daemon by `FRUIX_FAULT` (or `arm`) and carried to the spawner with
each specification:

    STEP            the step fails with an I/O error
    STEP:ERRNO      … with that error (`record:ENOSPC`)
    STEP:VICTIM     SIGKILL for `daemon`, `spawner`, `builder` or `client` when the step is about to be taken

A step's name says what is about to be done, so that everything of the steps before it exists. Each
layer has a table of its own steps and calls `reach` before each; `building.steps` puts them in
order.

Cost when nothing is armed: one comparison per step.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

from fruix.dataclass import dataclass
from fruix.errors import UsageError

VARIABLE = "FRUIX_FAULT"
MARK = b"!"  # before a victim's name, where a status pipe carries the wish to have it killed
VICTIMS = ("daemon", "spawner", "builder", "client")


@dataclass(frozen=True, slots=True)
class Step:
    """One step: its name, what is about to be done, and the process that does it.

    `builder`: a process of the build exists by then. `answered`: the client may have gone by then.
    """

    name: str
    what: str
    process: str = "daemon"
    builder: bool = False
    answered: bool = False

    @property
    def victims(self) -> tuple[str, ...]:
        """Whom a fault can kill there."""
        there = {"daemon", "spawner"}
        there |= {"builder"} if self.builder else set()
        there |= {"client"} if not self.answered else set()
        return tuple(victim for victim in VICTIMS if victim in there)


@dataclass(frozen=True, slots=True)
class _Fault:
    step: str
    victim: str = ""
    code: int = errno.EIO


_armed: _Fault | None = None
_text = ""
_processes: dict[str, int] = {}
_strike_by: Callable[[str], None] | None = None
_watcher: Callable[[str], None] | None = None


def arm(text: str) -> None:
    """Have the fault `text` happen in this process; an empty one disarms.

    Raises:
        UsageError: no such victim or error.
    """
    global _armed, _text
    _armed, _text = (_parse(text) if text else None), text


def begin(environment: Mapping[str, str], steps: Callable[[], Iterable[Step]]) -> None:
    """At a daemon's start: arm what its environment asks for.

    `steps` gives all that there are; it is asked only if a fault is.

    Raises:
        UsageError: no such step, victim or error.
    """
    arm(environment.get(VARIABLE, ""))
    names = [step.name for step in steps()] if _armed is not None else []
    if _armed is not None and _armed.step not in names:
        raise UsageError(f"{VARIABLE}: no step '{_armed.step}'", hint=f"steps: {', '.join(names)}")
    know("daemon", os.getpid())
    if _armed is not None:
        from fruix.log import Log  # noqa: PLC0415 - every command imports this module, hardly any needs that

        Log(__name__).warning("a fault is armed: %s", _text)


@contextmanager
def armed(text: str) -> Iterator[None]:
    """`arm` for the length of a context."""
    before = _text
    arm(text)
    try:
        yield
    finally:
        arm(before)


def text() -> str:
    """What is armed, for handing it on to the spawner, which doesn't know the client."""
    if _armed is not None and _armed.victim == "client":
        return f"{_armed.step}:{_processes.get('client', 0)}"
    return _text


def know(name: str, pid: int) -> None:
    """Note which process `name` (one of `VICTIMS`) is; nothing when no fault is armed."""
    if _armed is not None:
        _processes[name] = pid


def strike_by(deliver: Callable[[str], None]) -> None:
    """Have victims killed by `deliver`.

    This is for a process that sees none of them, not even itself, by its number.
    """
    global _strike_by  # noqa: PLW0603
    _strike_by = deliver


def watch(tell: Callable[[str], None] | None) -> None:
    """Have `tell` called with the name of each step that is reached.

    Here and in processes forked from now on. None: no more.
    """
    global _watcher  # noqa: PLW0603
    _watcher = tell


def reach(step: str) -> None:
    """Say that `step` is about to be taken.

    Raises:
        OSError: the fault wants it to fail.
    """
    if _watcher is not None:
        _watcher(step)
    if _armed is None or _armed.step != step:
        return
    if not _armed.victim:
        raise OSError(_armed.code, f"{os.strerror(_armed.code)} (injected for a test)", f"step '{step}'")
    (_strike_by or strike)(_armed.victim)


def strike(victim: str) -> None:
    """Kill a process that takes part, without more ado."""
    pid = int(victim) if victim.isdecimal() else _processes.get(victim, 0)
    if pid > 0:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _parse(text: str) -> _Fault:
    step, _, action = text.partition(":")
    if not action:
        return _Fault(step)
    if action in VICTIMS or action.isdecimal():  # a number: from `text`
        return _Fault(step, action)
    code = getattr(errno, action, None)
    if not isinstance(code, int):
        raise UsageError(
            f"{VARIABLE}: '{action}' is neither a victim nor an error", hint=f"victims: {', '.join(VICTIMS)}"
        )
    return _Fault(step, code=code)
