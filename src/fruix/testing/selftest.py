"""`fruix doctor --selftest`: run every check on a scratch store with the real daemon.

It prints a line for each, and a verdict.

Takes half a minute to a few minutes. Needs root and the host view `base`; nothing outside of the
scratch directory is changed.
"""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Callable
from enum import StrEnum

from fruix.errors import FruixError, UsageError
from fruix.testing.crashes import crash_checks
from fruix.testing.machines import MACHINE_CHECKS
from fruix.testing.scratch_daemon import scratch
from fruix.testing.selftest_checks import CHECKS, Bench, NotTriedError
from fruix.testing.traces import traces

LONGEST = 900  # seconds for one check: whatever hangs that long is not going to end


class Outcome(StrEnum):
    """How a check ended; its value is the mark that people see."""

    PASSED = "ok"
    FAILED = "FAILED"
    NOT_TRIED = "untried"


Report = Callable[[Outcome, str, str, float], None]


def selftest(report: Report) -> list[str]:
    """Run everything; `report` is told of each check (outcome, name, detail, seconds).

    Returns the names of those that failed.

    Raises:
        UsageError: not root.
    """
    if os.geteuid() != 0:
        raise UsageError("the self-test builds with a daemon of its own, which root has to run", hint="sudo")
    failed = []
    with scratch() as here:
        bench = Bench(here)
        for name, check in (*CHECKS, *MACHINE_CHECKS, *crash_checks(), ("daemon ends", _end)):
            begun = time.monotonic()
            outcome, detail = _try(check, bench)
            report(outcome, name, detail, time.monotonic() - begun)
            if outcome is Outcome.FAILED:
                failed.append(name)
            if here.daemon is None:  # nothing more can be tried
                break
    return failed


def _end(bench: Bench) -> str:
    status = bench.scratch.stop()
    left = traces(bench.scratch.layout)
    if status or left:
        raise FruixError(f"status {status}; left behind: {'; '.join(left) or 'nothing'}")
    return "status 0, nothing left behind"


def _try(check: Callable[[Bench], str], bench: Bench) -> tuple[Outcome, str]:
    signal.signal(signal.SIGALRM, _hangs)
    signal.alarm(LONGEST)
    try:
        return Outcome.PASSED, check(bench)
    except NotTriedError as error:
        return Outcome.NOT_TRIED, str(error)
    except OSError as error:
        code = errno.errorcode.get(error.errno or 0, "no errno")
        return Outcome.FAILED, f"{type(error).__name__} {code}: {error}"
    except Exception as error:  # noqa: BLE001 - whatever went wrong is the answer
        hint = f"; hint: {error.hint}" if isinstance(error, FruixError) and error.hint else ""
        return Outcome.FAILED, f"{type(error).__name__}: {error}{hint}"
    finally:
        signal.alarm(0)


def _hangs(_number: int, _frame: object) -> None:
    raise FruixError(f"no end after {LONGEST} seconds")
