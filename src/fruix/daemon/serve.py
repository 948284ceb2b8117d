"""The daemon's life after the spawner.

In this order: settings, the lock of the state directory, the store (opening it undoes an unclean
stop), what crashed builds left; and only when all of that is well, the socket appears. The end goes
the other way round.
"""

from __future__ import annotations

import gc
import signal
from collections.abc import Mapping
from contextlib import ExitStack

from fruix.daemon import listening, status_signal
from fruix.daemon.addresses import listen_at
from fruix.daemon.asked import Asked
from fruix.daemon.installed import Installed
from fruix.daemon.opening import open_service
from fruix.daemon.server import Server
from fruix.daemon.settings import changed, load
from fruix.late import guarded
from fruix.log import Log
from fruix.sandbox.spawner.forking import Forked
from fruix.store.layout import Layout
from fruix.threads import on_request

log = Log("fruix.daemon")

STOPPING_SIGNALS = (signal.SIGTERM, signal.SIGINT)
DRAINING_SIGNAL = signal.SIGUSR2


def run(
    environment: Mapping[str, str],
    asked: Asked,
    passed: list[listening.Listener],
    spawner: Forked,
    *,
    confined: bool,
) -> bool:
    """Serve until a signal; False when it ended because the spawner has gone.

    Args:
        environment: the daemon's.
        asked: what the command line says.
        passed: sockets of a service manager's.
        spawner: runs already.
        confined: in a user namespace, without root.
    """
    guarded(Installed().check)
    settings = changed(load(environment, asked.config), asked.changes, asked.origin)
    if confined:
        settings = settings.for_one_user(trusted=asked.trusts_own_user)
    layout = Layout.from_environment(environment)
    with ExitStack() as closing:
        layout.create()
        lock = closing.enter_context(listening.StateLock(layout.state))
        lock.take("daemon")
        service = open_service(
            layout, settings, spawner, accept_store=asked.accept_store, relock=lock.take_again
        )
        closing.callback(service.close)
        addresses = asked.listen or [layout.socket]
        where = "passed by the service manager" if passed else ", ".join(addresses)
        listeners = passed or listen_at(closing, addresses)
        server = Server(service, listeners, spawner.fileno())
        _stop_on_signals(server, drain=settings.drain_on_stop)
        on_request(lambda: status_signal.log_builds(service.active_builds(), server.connections))
        return _run(server, environment, f"store {layout.store}, socket {where}")


def _run(server: Server, environment: Mapping[str, str], what: str) -> bool:
    gc.freeze()
    gc.enable()
    listening.notify(environment, "READY=1")
    log.info("ready: %s", what)
    well = server.run()
    listening.notify(environment, "STOPPING=1")
    log.info("stopping")
    return well


def _stop_on_signals(server: Server, *, drain: bool) -> None:
    server.hear_signals()
    stop = server.drain if drain else server.stop
    for number in STOPPING_SIGNALS:
        signal.signal(number, lambda *_: stop())
    signal.signal(DRAINING_SIGNAL, lambda *_: server.drain())
