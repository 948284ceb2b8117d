"""`fruix nix-daemon`: the daemon, with the configuration of Nix's own; also as a program called `nix-daemon`.

It reads `nix.conf` and Nix's variables (`fruix.daemon.nix_conf`); what they say is stronger than
Fruix's own file, and options are stronger than they.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from fruix import __version__

SOCKET_VARIABLE = "NIX_DAEMON_SOCKET_PATH"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add nix-daemon's options."""
    parser.add_argument("--daemon", action="store_true", help="run the daemon, as without this option")
    parser.add_argument(
        "--stdio",
        action="store_true",
        help="serve one client on standard input and output, by the daemon that runs or an embedded one",
    )
    parser.add_argument(
        "--option",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="a setting, as in nix.conf; several times",
    )
    parser.add_argument("-j", "--max-jobs", metavar="N|auto", help="builds at once")
    parser.add_argument("--cores", metavar="N", help="what each build is told to use; 0: all")
    parser.add_argument("-v", "--verbose", action="count", help="no effect: errors are always told in full")
    parser.add_argument("--version", action="version", version=f"nix-daemon (Fruix) {__version__}")


def run(options: argparse.Namespace) -> int:
    """Run the daemon until it is told to end; with `--stdio`, until its client leaves."""
    if options.stdio:
        from fruix.cli.request.stdio import serve_stdio  # noqa: PLC0415 - see below

        return serve_stdio()
    from fruix.daemon import nix_conf  # noqa: PLC0415 - the daemon is to be small when it begins
    from fruix.daemon.asked import Asked  # noqa: PLC0415
    from fruix.daemon.main import main  # noqa: PLC0415

    configuration = nix_conf.read(os.environ)
    own = [(name, getattr(options, name.replace("-", "_"))) for name in ("max-jobs", "cores")]
    for name, value in (*options.option, *own):
        if value is not None:
            configuration.set(name, value)
    for name in sorted(configuration.unknown):
        print(f"warning: unknown setting '{name}'", file=sys.stderr)
    # As there, a derivation with declared contents gets any variable that it names.
    changes = {"impure-variables": ["*"], **configuration.changes}
    listen = [socket] if (socket := os.environ.get(SOCKET_VARIABLE)) else []
    asked = Asked(
        listen=listen,
        changes=changes,
        origin="nix.conf",
        notes=configuration.notes,
        trusts_own_user=trusts(changes.get("trusted-users", ["root"])),
    )
    return main(asked)


def trusts(users: Sequence[str]) -> bool:
    """Whether this process' user is among them; in a user namespace its number tells nothing any more."""
    if os.geteuid() == 0:
        return True
    from fruix.daemon.peers import Peer, matches  # noqa: PLC0415 - the daemon is to be small when it begins

    return matches(Peer(os.geteuid(), os.getegid()), users)
