"""The programs that are run before and after each build, as Nix's settings of these names have them.

They run as the daemon, outside of any sandbox: the operator's (`pre-build-hook`), and the operator's or
a trusted client's (`post-build-hook`).
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence

from fruix.building.builders.prepared_builder import PreparedBuilder
from fruix.building.builders.sandbox_paths import check_entry, sandbox_paths
from fruix.building.failures import FailedError
from fruix.building.queue.job import Job
from fruix.dataclass import replace
from fruix.model.events import LogLine
from fruix.model.reasons import reason
from fruix.model.storepath import StorePath
from fruix.model.text import printable

_CHUNK = 1 << 16
_LONGEST_ANSWER = 1 << 20  # bytes of what is said before a build
# What begins a list of paths that the build is to see besides; an empty line ends it.
_SHOW = frozenset({"extra-sandbox-paths", "extra-chroot-dirs"})


def run_before(program: str, job: Job, builder: PreparedBuilder) -> PreparedBuilder:
    """Run it with the derivation's path, and show the builder what it prints besides.

    As with `sandbox-paths`, that is for builders that name neither a view nor a root.

    Raises:
        FailedError: it can't be started, it failed, said what isn't known, or nobody waits any more.
        SandboxError: what it names isn't there, or its place is taken.
    """
    said: list[str] = []
    rest = _LONGEST_ANSWER

    def listen(line: str) -> None:
        nonlocal rest
        rest -= len(line) + 1
        if rest < 0:
            raise _failed(job, program, f"more than {_LONGEST_ANSWER} bytes of commands")
        said.append(line)

    _run([program, str(job.path)], job, os.environ, listen, errors=None)
    try:
        entries = _entries(said)
    except ValueError as error:
        raise _failed(job, program, f"what it said: {error}") from error
    if builder.view or builder.root or builder.host:
        return builder
    return replace(builder, shown=(*builder.shown, *sandbox_paths(entries, builder.areas)))


def _entries(lines: Sequence[str]) -> list[str]:
    found, showing = [], False
    for line in lines:
        if showing and line:
            found.append(check_entry(line))
        elif line and line not in _SHOW:
            raise ValueError(f"'{printable(line)}' is no known command")
        else:
            showing = bool(line)
    return found


def run_after(program: str, job: Job, outputs: Mapping[str, StorePath]) -> None:
    """Run it to its end, or to that of those who wait for the build.

    The outputs are valid and their locks released; it may talk to the daemon: `NIX_REMOTE` says so to
    Nix's commands. What it writes is told like lines of the log. A build whose hook fails has failed,
    as in Nix; its outputs stay valid.

    Raises:
        FailedError: it can't be started, it failed, or nobody waits any more.
    """
    paths = " ".join(str(path) for path in outputs.values())
    environment = {"NIX_REMOTE": "daemon", **os.environ, "DRV_PATH": str(job.path), "OUT_PATHS": paths}
    _run(
        [program], job, environment, lambda line: job.emit(LogLine(job.path, line)), errors=subprocess.STDOUT
    )


def _run(
    words: Sequence[str],
    job: Job,
    environment: Mapping[str, str],
    on_line: Callable[[str], None],
    *,
    errors: int | None,
) -> None:
    try:
        process = subprocess.Popen(
            words,
            env=environment,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
    except OSError as error:
        raise _failed(job, words[0], f"{error.strerror}") from error
    with process:
        try:
            _listen(process, job, on_line)
        except FailedError:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode:
        how = f"exit code {process.returncode}" if process.returncode > 0 else f"signal {-process.returncode}"
        raise _failed(job, words[0], how)


def _failed(job: Job, program: str, how: str) -> FailedError:
    return FailedError(job.path, reason("hook", program=program, how=how))


def _listen(process: subprocess.Popen[bytes], job: Job, on_line: Callable[[str], None]) -> None:
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
        if not chunk or len(partial) > _LONGEST_ANSWER:
            lines, partial = [*lines, *([partial] if partial else [])], b""
        for line in lines:
            on_line(line.decode("utf-8", "replace"))
        if not chunk:
            return
