"""A process with `shim.c` preloaded that makes trials: forks, works on a store, tells what became of it.

Run as a program it is that process: it reads requests from its standard input, one JSON object a
line, and answers each with one. It has imported everything before, so a trial costs a fork.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faults.scenarios import ALL
from faults.work import Work


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of a trial.

    Attributes:
        signal: that ended the work; 0 if it came to its end.
        changes: how many changes it made to files (0 if it was killed).
        failures: what steps said that failed.
    """

    signal: int
    changes: int
    failures: list[str]


class Trials:
    """The process, seen from the tests."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(
        self,
        scenario: str,
        root: str,
        *,
        strict: bool = False,
        log: Path | None = None,
        at: int = 0,
        error: int = 0,
        lasting: bool = False,
        omit: str = "",
    ) -> Trial:
        """One trial.

        Args:
            scenario: of `faults.scenarios`.
            root: the directory of the store's parts.
            strict: durability.
            log: where to record all changes.
            at: the number of the change at which something happens; 0: nothing does.
            error: with which it fails; 0: the process is killed.
            lasting: all later changes that need the disk fail, too.
            omit: Python text that takes something out of the code before the work begins.
        """
        request = {
            "scenario": scenario, "root": root, "strict": strict, "log": str(log or ""), "at": at,
            "error": error, "lasting": lasting, "omit": omit,
        }  # fmt: skip
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)
        answer = json.loads(self._process.stdout.readline())
        return Trial(answer["signal"], answer["changes"], answer["failures"])


@contextmanager
def trials(shim: Path) -> Iterator[Trials]:
    """The process for as long as the context lasts."""
    environment = {**os.environ, "LD_PRELOAD": str(shim), "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-m", "faults.trials"],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Trials(process)
        process.communicate()


def _child(request: dict[str, Any], answer: int) -> None:
    libc = ctypes.CDLL(None)
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600) if request["log"] else -1
    from fruix.store import durability

    durability.INTERVAL = 3600.0  # nothing happens but what the scenario asks for
    exec(request["omit"], {})
    work = Work(request["root"], request["strict"], lambda text: libc.fault_note(text.encode()))
    libc.fault_begin(
        os.fsencode(request["root"]),
        log,
        ctypes.c_uint64(request["at"]),
        request["error"],
        int(request["lasting"]),
    )
    ALL[request["scenario"]](work)
    changes = libc.fault_end()
    os.write(answer, json.dumps({"changes": changes, "failures": work.failures}).encode())


def _serve() -> None:
    for line in sys.stdin:
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                _child(json.loads(line), writer)
            except BaseException:  # noqa: BLE001 (the lack of an answer tells)
                traceback.print_exc()
            finally:
                os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as stream:
            told = stream.read()
        _, status = os.waitpid(pid, 0)
        answer = json.loads(told) if told else {"changes": 0, "failures": []}
        answer["signal"] = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        if not told and not answer["signal"]:
            answer["failures"] = ["UNEXPECTED end of the trial; see its standard error"]
        print(json.dumps(answer), flush=True)  # noqa: T201 (that is how it answers)


if __name__ == "__main__":
    _serve()
