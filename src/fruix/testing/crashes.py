"""Crashes on purpose, and what is left of them: nothing, and the same build succeeds afterwards.

A client goes away while its build runs; the daemon is killed then. After that, every step of a
build in its order (`failpoints`): the step fails, then the daemon is killed when the step is about
to be taken, and where the builder runs, the spawner and the builder too. Each time a new daemon
starts, without the fault.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing

from fruix.building.steps import all_steps
from fruix.errors import DisconnectedError, FruixError
from fruix.failpoints import Step
from fruix.model.buildresult import BuildResult, BuildStatus
from fruix.model.events import Event, LogLine
from fruix.model.storepath import StorePath
from fruix.testing import derivations
from fruix.testing.selftest_checks import Bench, FailedError, told
from fruix.testing.traces import traces

# Long enough to be caught running, by whoever is to be killed or to leave.
SLOW = "echo running; sleep 2; echo done > $out"
# Two outputs, so that there is a step between them.
TWO = "echo one > $out; echo two > $more"
OUTPUTS = ("out", "more")
PATIENCE = 30.0  # seconds for a daemon to clean up after a client that has gone
# The step at which the other processes are killed too: the builder runs.
RUNNING = "watch"

Check = tuple[str, Callable[[Bench], str]]


class _LeftError(Exception):
    """Raised by a client's own event handler, to leave in the middle of a build."""


def crash_checks() -> Iterator[Check]:
    """The checks: a client goes, the daemon is killed, then every step of a build in its order."""
    yield "client goes away", client_gone
    yield "daemon killed", daemon_killed
    for step in all_steps():
        yield f"crash: {step.name}", lambda bench, step=step: crash(bench, step)  # type: ignore[misc]


def client_gone(bench: Bench) -> str:
    """The client's connection ends while its build runs."""

    def leave() -> None:
        raise _LeftError

    _interrupted(bench, "client-gone", leave)
    deadline = time.monotonic() + PATIENCE
    while left := traces(bench.scratch.layout):
        if time.monotonic() > deadline:
            raise FruixError(f"left behind: {'; '.join(left)}")
        time.sleep(0.05)
    return "its build was ended and cleaned up"


def daemon_killed(bench: Bench) -> str:
    """SIGKILL to the daemon while a builder runs."""
    _interrupted(bench, "daemon-killed", bench.scratch.crash)
    bench.scratch.start()
    bench.clean()
    bench.succeed("daemon-killed", SLOW)
    bench.clean()
    return "a new start left nothing behind, and the same build succeeded"


def crash(bench: Bench, step: Step) -> str:
    """One step: it fails, and processes die when it is about to be taken."""
    actions = ["", "daemon", *(("spawner", "builder") if step.name == RUNNING else ())]
    for action in actions:
        _crash(bench, step, action)
    killed = " and ".join(action for action in actions if action)
    return f"{step.what}: fails, {killed} killed, each time recovered"


def _crash(bench: Bench, step: Step, action: str) -> None:
    fault = f"{step.name}:{action}" if action else step.name
    name = f"crash-{fault.replace(':', '-')}"
    bench.scratch.stop()
    bench.scratch.start(fault=fault)
    script = TWO if action in {"", "daemon"} else f"sleep 2; {TWO}"  # the victim shall not be too late
    first = _build(bench, name, script)
    if step.answered and action:
        bench.scratch.fallen()  # the answer may have come before that
    else:
        _check_first(first, fault, action)
    if first is None or (step.answered and action):
        bench.scratch.crash()
    else:
        bench.scratch.stop()
    bench.scratch.start()
    if left := traces(bench.scratch.layout):
        raise FailedError(f"{fault}: after a new start there is {'; '.join(left)}")
    again = _build(bench, name, script)
    if again is None or not again.success:
        raise FailedError(f"{fault}: the same build then fails: {told(again) if again else 'no answer'}")
    bench.clean()


def _check_first(result: BuildResult | None, fault: str, action: str) -> None:
    """The fault must have been felt: no fault would prove nothing."""
    if result is None and action not in {"daemon", "spawner"}:  # without a spawner the daemon ends too
        raise FailedError(f"{fault}: the daemon has gone")
    if result is not None and action == "daemon":
        raise FailedError(f"{fault}: {told(result)}")
    if action and result is not None and result.success:
        raise FailedError(f"{fault}: the build succeeded all the same")


def _build(bench: Bench, name: str, script: str) -> BuildResult | None:
    """None: the daemon went away before it could answer."""
    with closing(bench.scratch.connect()) as store:
        drv, _ = derivations.add(store, name, script, outputs=OUTPUTS)
        try:
            return derivations.build_added(store, drv)
        except (DisconnectedError, ConnectionError):
            return None
        except FruixError as error:
            return BuildResult(BuildStatus.MISC_FAILURE, str(error))


def _interrupted(bench: Bench, name: str, interrupt: Callable[[], None]) -> StorePath:
    """Build, and call `interrupt` as soon as the builder runs; it ends the build, or raises."""

    def watch(event: Event) -> None:
        if isinstance(event, LogLine):
            interrupt()

    with closing(bench.scratch.connect()) as store:
        drv, _ = derivations.add(store, name, SLOW)
        try:
            derivations.build_added(store, drv, watch)
        except (DisconnectedError, ConnectionError, _LeftError):
            return drv
    raise FailedError("the build went on as if nothing had happened")
