"""The program that the operator, or a trusted client, has run after each build (Nix's `post-build-hook`).

It runs as the daemon, outside of any sandbox, when the outputs are valid and their locks released,
and may talk to the daemon: `NIX_REMOTE` says so to Nix's commands. What it writes is told like lines
of the log. A build whose hook fails has failed, as in Nix; its outputs stay valid.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
from collections.abc import Mapping

from fruix.building.failures import FailedError
from fruix.building.queue.job import Job
from fruix.model.events import LogLine
from fruix.model.reasons import reason
from fruix.model.storepath import StorePath

_CHUNK = 1 << 16


def run_hook(program: str, job: Job, outputs: Mapping[str, StorePath]) -> None:
    """Run it to its end, or to that of those who wait for the build.

    Raises:
        FailedError: it can't be started, it failed, or nobody waits any more.
    """
    paths = " ".join(str(path) for path in outputs.values())
    environment = {"NIX_REMOTE": "daemon", **os.environ, "DRV_PATH": str(job.path), "OUT_PATHS": paths}
    try:
        process = subprocess.Popen(
            [program],
            env=environment,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise FailedError(job.path, reason("hook", program=program, how=f"{error.strerror}")) from error
    with process:
        try:
            _listen(process, job)
        except FailedError:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode:
        how = f"exit code {process.returncode}" if process.returncode > 0 else f"signal {-process.returncode}"
        raise FailedError(job.path, reason("hook", program=program, how=how))


def _listen(process: subprocess.Popen[bytes], job: Job) -> None:
    """Tell its lines until nobody can write any more."""
    assert process.stdout is not None
    output, partial = process.stdout.fileno(), b""
    poller = select.poll()
    for descriptor in (output, job.waker):
        poller.register(descriptor, select.POLLIN)
    while True:
        if job.waker in {descriptor for descriptor, _ in poller.poll()}:
            raise FailedError(job.path, reason("cancelled"))
        chunk = os.read(output, _CHUNK)
        *lines, partial = (partial + chunk).split(b"\n")
        for line in (*lines, *([partial] if partial and not chunk else [])):
            job.emit(LogLine(job.path, line.decode("utf-8", "replace")))
        if not chunk:
            return
