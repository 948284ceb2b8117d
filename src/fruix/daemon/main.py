"""The daemon's life: `main` runs it in the foreground until SIGTERM or SIGINT.

The order matters. The spawner is forked first, when this process is still small and single-threaded
and knows nothing worth stealing; everything else is `serve`.
"""

from __future__ import annotations

import gc
import os
import resource
from collections.abc import Mapping
from contextlib import ExitStack

from fruix.children import hear_of_children
from fruix.daemon import listening, rootless
from fruix.daemon.asked import Asked
from fruix.daemon.log_handler import log_to_stderr
from fruix.errors import UsageError
from fruix.log import Log

log = Log("fruix.daemon")

# More than all connections and builds at their default limits need; a limit of a billion would only
# make closing descriptors slow.
MANY_FILES = 65536


def main(asked: Asked) -> int:
    """Run the daemon that the command line asks for.

    Returns:
        The exit status.

    Raises:
        FruixError: what keeps it from running.
    """
    log_to_stderr()
    for note in asked.notes:
        log.info("%s", note)
    environment = dict(os.environ)
    gc.disable()  # what is loaded stays
    hear_of_children()
    os.umask(0o022)
    confined = _become_root(environment)
    with ExitStack() as closing:
        # Their flags have to be right before the spawner inherits them.
        passed = listening.passed_sockets(environment)
        from fruix import failpoints  # noqa: PLC0415 - the order is the point
        from fruix.building.steps import known_steps  # noqa: PLC0415
        from fruix.sandbox.spawner.forking import Forked  # noqa: PLC0415

        failpoints.begin(environment, known_steps)
        _allow_many_files()
        spawner = Forked.start()
        failpoints.know("spawner", spawner.pid)
        closing.callback(spawner.close)
        # The rest of the program comes only now: what the spawner has in its memory is copied for
        # every builder.
        from fruix.daemon.serve import run  # noqa: PLC0415

        well = run(environment, asked, passed, spawner, confined=confined)
        return 0 if well else 1


def _become_root(environment: Mapping[str, str]) -> bool:
    """Be root, in a user namespace where that can't be otherwise; whether it is one.

    Raises:
        FruixError: there is no way.
    """
    if not rootless.possible():
        if os.geteuid() != 0:
            raise UsageError("the daemon has to be run by root", hint="sudo fruix daemon")
        return False
    home = rootless.home(environment)
    rootless.become_root(home)
    log.info("without root: %s is shown at %s", home, rootless.PLACE)
    return True


def _allow_many_files() -> None:
    """Raise the limit on open files as far as it is of use; builders don't inherit this."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MANY_FILES if hard == resource.RLIM_INFINITY else min(MANY_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
