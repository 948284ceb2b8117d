"""`python -m freebsd_double COMMAND…`: `fruix COMMAND…` with jails, on Linux, by the double.

The machine exists for the length of the first command, in a mount namespace of its own; commands
that it starts (the self-test's daemons) find it by a variable.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator

from freebsd_double.double import Double
from freebsd_double.files import as_on_ufs
from fruix.__main__ import main as command
from fruix.sandbox import back_ends
from fruix.sandbox.freebsd.back_end import FreeBSDBackEnd
from fruix.sandbox.linux import libc
from fruix.testing import expected_view, scratch_daemon

VARIABLE = "FRUIX_FREEBSD_DOUBLE"
# Another user's process outside of the jail can be addressed, if not harmed.
WEAKER = {"signal-outside": frozenset({"EPERM"})}


@contextlib.contextmanager
def _machine() -> Iterator[str]:
    """The directory of its state: the caller's, or a new one."""
    if VARIABLE in os.environ:
        yield os.environ[VARIABLE]
        return
    libc.unshare(libc.CLONE_NEWNS)
    libc.mount(None, b"/", None, libc.MS_REC | libc.MS_PRIVATE)
    directory = os.environ[VARIABLE] = tempfile.mkdtemp(prefix="fruix-freebsd-")
    owner = os.getpid()
    try:
        yield directory
    finally:
        if os.getpid() == owner:  # and not a process that it forked
            shutil.rmtree(directory)


def main(program: str = "freebsd_double") -> None:
    """Run the command; `program`: the module that the self-test's daemons are."""
    with _machine() as directory, as_on_ufs():
        back_ends.use(FreeBSDBackEnd(Double(directory)))
        scratch_daemon.program = program
        scratch_daemon.KEPT.append(VARIABLE)
        scratch_daemon.MODULES.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        expected_view.DOORS.update(WEAKER)
        sys.argv[0] = "fruix"
        sys.exit(command())  # and not its `run`, which would leave the directory there


if __name__ == "__main__":
    main()
