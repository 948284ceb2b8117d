"""`fruix daemon`: run the build daemon in the foreground, or ask whether one runs."""

from __future__ import annotations

import argparse
import sys
import time

from fruix.errors import UnreachableError

POLL_INTERVAL = 0.05


def configure(parser: argparse.ArgumentParser) -> None:
    """Add where the daemon listens and what configures it, and `--ping`."""
    parser.add_argument(
        "--ping", action="store_true", help="ask the daemon at the socket for its version, and leave"
    )
    parser.add_argument(
        "--stdio",
        action="store_true",
        help="serve one client on standard input and output, as 'ssh-ng://' wants it: by the daemon at the"
        " socket, else by one that is embedded",
    )
    parser.add_argument(
        "--wait",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="with --ping: how long to wait for an answer",
    )
    parser.add_argument(
        "--config", metavar="FILE", help="configuration (default: FRUIX_CONF, else /frx/etc/fruix.toml)"
    )
    parser.add_argument(
        "--listen",
        "--socket",
        action="append",
        default=[],
        metavar="FILE|HOST:PORT",
        help="where to listen: a file name, or (without encryption, for tunnels) a TCP port; several times",
    )
    parser.add_argument(
        "--accept-store",
        action="store_true",
        help="take the store directory for the database that is there, though they don't belong together: "
        "what the database doesn't know is garbage from then on",
    )


def run(options: argparse.Namespace) -> int:
    """Run the daemon until it is told to end; with `--ping` or `--stdio`, only talk to one that runs."""
    if options.ping:
        return ping(options.wait)
    if options.stdio:
        from fruix.cli.request.stdio import serve_stdio  # noqa: PLC0415 - the daemon is to be small when it begins

        return serve_stdio()
    from fruix.daemon.asked import Asked  # noqa: PLC0415 - see below
    from fruix.daemon.main import main  # noqa: PLC0415 - a big import that --ping doesn't need

    return main(Asked(config=options.config, listen=options.listen, accept_store=options.accept_store))


def ping(patience: float) -> int:
    """Connect to the daemon, and print its version.

    Raises:
        UnreachableError: nobody does, for `patience` seconds.
    """
    from fruix.cli.request.connect import connect_running  # noqa: PLC0415 - the daemon is to be small when it begins

    deadline = time.monotonic() + patience
    while True:
        try:
            store = connect_running()
        except UnreachableError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(POLL_INTERVAL)
        else:
            print(store.daemon_version, file=sys.stdout)
            store.close()
            return 0
