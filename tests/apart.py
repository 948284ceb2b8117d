"""Run a command apart from everything else on this machine.

As root, in process and mount namespaces and a control group of its own.

    python tests/apart.py COMMAND ARGUMENT…

Tests look for processes of build users, for mounts and for groups that a build left. Run apart they see
none of those of other daemons, other builds and other tests on the same machine, and disturb none.
The namespace ends with the command, and all its processes with it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

MARK = "FRUIX_TESTS_APART"
_KILLED = 128


def needed() -> bool:
    """Whether this process can be apart and is not yet."""
    return os.geteuid() == 0 and MARK not in os.environ


def run(command: Sequence[str]) -> int:
    """Run it; its exit status, or 128 and the number of the signal that killed it."""
    from fruix.sandbox.linux import (
        libc,
    )  # not at the top: `needed` is also asked where that can't be imported

    with _own_group():
        libc.unshare(libc.CLONE_NEWNS | libc.CLONE_NEWPID)
        libc.mount(None, b"/", None, libc.MS_REC | libc.MS_PRIVATE)
        child = os.fork()
        if child == 0:
            _first_process(command)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to the command, too
        signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGKILL))
        return _status(os.waitpid(child, 0)[1])


def _first_process(command: Sequence[str]) -> None:
    """Wait for all orphans of the namespace, as its first process has to, until the command itself ends."""
    from fruix.sandbox.linux import libc

    libc.prctl(libc.PR_SET_PDEATHSIG, signal.SIGKILL)
    libc.mount(b"proc", b"/proc", b"proc", libc.MS_NOSUID | libc.MS_NODEV | libc.MS_NOEXEC)
    child = os.fork()
    if child == 0:
        os.environ[MARK] = "1"
        os.execvp(command[0], list(command))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == child:
            os._exit(_status(status))


def _status(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return _KILLED - code if code < 0 else code


@contextmanager
def _own_group() -> Iterator[None]:
    """In a control group of one's own, where there is a version 2 hierarchy that we may change."""
    from fruix.sandbox.linux.cgroup import CgroupParent

    parent = CgroupParent.find()
    if parent is None:
        yield
        return
    group = parent.create(f"fruix-tests-{os.getpid()}")
    group.add(os.getpid())
    try:
        yield
    finally:
        Path(f"{parent.path}/cgroup.procs").write_text(str(os.getpid()))
        with contextlib.suppress(OSError):
            group.kill()
            group.remove()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))
    sys.exit(run(sys.argv[1:]))
