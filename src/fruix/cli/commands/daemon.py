"""`fruix daemon`: run the build daemon in the foreground, or ask whether one runs."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from fruix.errors import UnreachableError

TYPE_CHECKING = False  # what `typing` has, without loading it
if TYPE_CHECKING:
    import argparse

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
    return _run_daemon(options.config, options.listen, accept_store=options.accept_store)


def run_usual(words: Sequence[str]) -> int | None:
    """Run the daemon as services do: without options, or with some of `--config` and `--listen`.

    A parser of words takes as long to load as a third of the interpreter's start.

    Returns:
        The exit status; None if these words are for a parser.
    """
    names, values = words[::2], words[1::2]
    known = all(name in {"--config", "--listen"} for name in names)
    if not known or len(names) != len(values) or any(value.startswith("-") for value in values):
        return None
    given = list(zip(names, values, strict=True))
    config = next((value for name, value in reversed(given) if name == "--config"), None)
    return _run_daemon(config, [value for name, value in given if name == "--listen"])


def _run_daemon(config: str | None, listen: Sequence[str], *, accept_store: bool = False) -> int:
    from fruix.daemon.asked import Asked  # noqa: PLC0415 - see below
    from fruix.daemon.main import main  # noqa: PLC0415 - a big import that --ping doesn't need

    return main(Asked(config=config, listen=listen, accept_store=accept_store))


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
