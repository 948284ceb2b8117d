"""The daemon's life: `main` runs it in the foreground until SIGTERM or SIGINT.

The order matters. The spawner is forked first, when this process is still small and single-threaded and knows nothing worth
stealing; then settings, the lock of the state directory, the store (opening it undoes an unclean stop), what crashed builds left; and
only when all of that is well, the socket appears. The end goes the other way round.
"""

from __future__ import annotations

import logging
import os
import resource
import signal
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from fruix.daemon import inform, listening, rootless
from fruix.daemon.server import Server
from fruix.daemon.service import open_service
from fruix.daemon.settings import Settings, load
from fruix.errors import UsageError
from fruix.store.layout import Layout

if TYPE_CHECKING:
    from fruix.sandbox import Spawner

log = logging.getLogger("fruix.daemon")

# More than all connections and builds at their default limits need; a limit of a billion would only make closing descriptors slow.
MANY_FILES = 65536
STOPPING_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def main(*, config: str | None = None, socket: str | None = None) -> int:
    """Run the daemon.

    Args:
        config: its configuration file (default: `FRUIX_CONF`, else the usual place).
        socket: where to listen (default: in the state directory).

    Returns:
        The exit status.

    Raises:
        FruixError: what keeps it from running.
    """
    logging.basicConfig(level=logging.INFO, format="fruix daemon: %(message)s", stream=sys.stderr)
    environment = dict(os.environ)
    os.umask(0o022)
    confined = rootless.possible()
    if confined:
        home = rootless.home(environment)
        rootless.become_root(home)
        log.info("without root: %s is shown at %s", home, rootless.PLACE)
    elif os.geteuid() != 0:
        raise UsageError("the daemon has to be run by root", hint="sudo fruix daemon")
    with ExitStack() as closing:
        # Their flags have to be right before the spawner inherits them.
        passed = listening.passed_sockets(environment)
        from fruix.sandbox import Spawner, faults  # noqa: PLC0415 - the order is the point

        faults.begin(environment)
        _allow_many_files()
        spawner = Spawner.start()
        faults.know("spawner", spawner.pid)
        closing.callback(spawner.close)
        settings = load(environment, config)
        if confined:  # other users have no numbers here, so none can be told from another
            settings = replace(settings, allowed_users=(), trusted_users=())
        return 0 if run(settings, environment, socket, passed, spawner) else 1


def run(
    settings: Settings,
    environment: Mapping[str, str],
    path: str | None,
    passed: list[listening.Listener],
    spawner: Spawner,
) -> bool:
    """Everything after the spawner; False when it ended because that has gone."""
    layout = Layout.from_environment(environment)
    with ExitStack() as closing:
        layout.create()
        lock = closing.enter_context(listening.StateLock(layout.state))
        lock.take("daemon")
        service = open_service(layout, settings, spawner)
        closing.callback(service.close)
        where = "passed by the service manager" if passed else path or layout.socket
        listeners = passed or [_listen(closing, where)]
        server = Server(service, listeners, spawner)
        _stop_on_signals(server)
        inform.on_request(lambda: inform.log_builds(service.builder.active(), server.connections))
        listening.notify(environment, "READY=1")
        log.info("ready: store %s, socket %s", layout.store, where)
        well = server.run()
        listening.notify(environment, "STOPPING=1")
        log.info("stopping")
        return well


def _allow_many_files() -> None:
    """Raise our limit on open files as far as it is of use; builders don't inherit this."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MANY_FILES if hard == resource.RLIM_INFINITY else min(MANY_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _listen(closing: ExitStack, path: str) -> listening.Listener:
    listener = listening.listen(path)
    closing.callback(listener.close)
    closing.callback(listening.forget, path)
    return listener


def _stop_on_signals(server: Server) -> None:
    for number in STOPPING_SIGNALS:
        signal.signal(number, lambda *_: server.stop())
