"""What a machine can isolate: how a back end's table of probes is run.

`fruix doctor` shows the results. Each probe tries the thing itself, in a child that is thrown away.

A capability that builds need and that is missing makes builds fail with an error of the step
concerned; here it gets a name, the reason, and what to do about it. Run in a small single-threaded
process: it forks.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass


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
