"""Two machines on one: each sees a directory of its own as `/frx`, and `ssh` leads from one to the other.

That `ssh` stands for the real one: it takes its arguments and runs the command on the other machine.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[3]
PEERS = os.environ.get("FRUIX_PEERS", "/var/tmp/fruix-peers")

# Options are anywhere before the command, `-O check` asks for a connection that is shared.
_SSH = """#!/bin/sh
host= local=
while [ $# != 0 ]; do
    case $1 in
    -O) exit 1 ;;
    -oLocalCommand=*) local=${1#-oLocalCommand=} ;;
    -[ilpS]) shift ;;
    -*) ;;
    *) [ -z "$host" ] || break; host=$1 ;;
    esac
    shift
done
case ${host#*@} in
@hosts@
*) echo "ssh: connect to host $host: No route to host" >&2; exit 255 ;;
esac
[ -z "$local" ] || sh -c "$local"
exec env -i "$enter" sh -c "$*"
"""
_ENTER = """#!/bin/sh
here='. "$0/profile" && mount --bind "$0" /frx && mount --bind "$0/locks" /run/fruix && exec "$@"'
exec unshare -m sh -c "$here" '@place@' "$@"
"""
_DAEMON = """#!/bin/sh
PYTHONPATH='@modules@' exec '@python@' -m @module@ @words@ "$@"
"""


@cache
def newest() -> str:
    """Where the commands of Nix 2.34 or later are; unpacked if they aren't there."""
    subprocess.run(["sh", ROOT / "scripts/peers", PEERS, "nix"], check=True)
    return f"{PEERS}/nix/usr/bin"


@dataclass(frozen=True)
class Host:
    """A machine with the programs in `bin`, besides the system's; `ssh` there leads to those in `to`."""

    place: Path
    to: Mapping[str, Host] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("bin", "store", "home", "etc", "locks"):
            (self.place / name).mkdir(parents=True)
        for directory in ("/frx", "/run/fruix"):
            os.makedirs(directory, exist_ok=True)
        self.write("enter", _ENTER, place=self.place)
        values = {"PATH": self.path, "HOME": "/frx/home", **self.environment}
        lines = [f"export {name}='{value}'\n" for name, value in values.items()]
        (self.place / "profile").write_text("".join(lines))
        if self.to:
            hosts = [f"{name}) enter='{host.place}/bin/enter' ;;" for name, host in self.to.items()]
            self.write("ssh", _SSH, hosts="\n".join(hosts))

    @property
    def path(self) -> str:
        return f"{self.place}/bin:{os.environ['PATH']}"

    def write(self, name: str, text: str, /, **values: object) -> None:
        """A program."""
        for key, value in values.items():
            text = text.replace(f"@{key}@", str(value))
        (self.place / "bin" / name).write_text(text)
        (self.place / "bin" / name).chmod(0o755)

    def install(self, name: str, module: str, *words: str) -> None:
        """A program that is a command of Fruix's, or of its double on FreeBSD (`as_freebsd`)."""
        modules = f"{ROOT}/src:{ROOT}/tests"
        values = {"modules": modules, "python": sys.executable, "module": module, "words": " ".join(words)}
        self.write(name, _DAEMON, **values)

    def run(self, *words: str | Path, fails: bool = False) -> str:
        """What a command prints and says."""
        done = subprocess.run(
            [self.place / "bin/enter", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        assert (done.returncode != 0) == fails, done.stdout
        return done.stdout

    def paths(self, *ends: str) -> Sequence[str]:
        """The base names of the store's paths that end so."""
        return sorted(name for name in os.listdir(self.place / "store") if name.endswith(ends))


def nix_host(place: Path, to: Mapping[str, Host], programs: str) -> Host:
    """A machine with Nix, which builds as root and whose clients need no daemon."""
    names = {"STORE": "store", "STATE": "var/nix", "LOG": "var/log/nix", "CONF": "etc"}
    config = "sandbox = false\nbuild-users-group =\nsubstituters =\n"
    config += "experimental-features = nix-command ca-derivations\n"
    environment = {f"NIX_{name}_DIR": f"/frx/{directory}" for name, directory in names.items()}
    host = Host(place, to, {**environment, "NIX_CONFIG": config})
    for name in ("nix", "nix-build", "nix-store", "nix-copy-closure", "nix-instantiate", "nix-daemon"):
        host.write(name, '#!/bin/sh\nexec @programs@/@name@ "$@"\n', programs=programs, name=name)
    return host
