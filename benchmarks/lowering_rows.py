"""Packages by the thousand: from definitions to derivations in a store, over the socket."""

from __future__ import annotations

import os
import resource
import time

from commands import fruix, run
from fruix.client import connect
from fruix.model.hostview import HostView
from fruix.packages.lower import Lowering, LoweringContext
from fruix.packages.package import Package
from peers import Daemon
from row import Data
from unavailable import Unavailable

PACKAGES = 10_000
_DEFINITIONS = """
packages = [
    Package(name=f"nNUMBER-{index}", version="1", build_system="trivial", arguments={"script": "echo > $out"})
    for index in range(MANY)
]
"""


def lowering(daemon: Daemon, data: Data, number: int) -> float:
    """10,000 packages of three inputs each become derivations, which are added over the socket."""
    return _lowered(daemon, data.count(PACKAGES), number)[0]


def memory(daemon: Daemon, data: Data, number: int) -> float:
    """MiB more that the client has taken, at most, when it has lowered them."""
    return _lowered(daemon, data.count(PACKAGES), 1000 + number)[1]


def _lowered(daemon: Daemon, many: int, number: int) -> tuple[float, float]:
    """Seconds, and MiB, of a process of its own."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            begun, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            with connect(daemon.socket, daemon.store) as store:
                work = Lowering(store, LoweringContext("x86_64-linux", lambda view: HostView(view, "0" * 64)))
                made: list[Package] = []
                for index in range(many):
                    inputs = dict.fromkeys(made[index // step] for step in (2, 3, 5)) if index else {}
                    made.append(
                        Package(f"p{number}-{index}", "1", "trivial", None, {"script": ":"}, tuple(inputs))
                    )
                for package in made:
                    work.lowered(package)
                store.add_waiting()
            more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
            os.write(write, f"{time.perf_counter() - begun} {more / 1024}".encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as file:
        found = file.read().split()
    os.waitpid(pid, 0)
    if len(found) != 2:
        raise Unavailable("packages could not be lowered")
    return float(found[0]), float(found[1])


def dry_run(daemon: Daemon, data: Data, number: int) -> float:
    """`fruix build -n` of 10,000 packages in a file, the whole command."""
    many, file = data.count(PACKAGES), f"{daemon.base}/packages-{number}.py"
    with open(file, "w", encoding="ascii") as stream:
        stream.write(_DEFINITIONS.replace("NUMBER", str(number)).replace("MANY", str(many)))
    return run(daemon, fruix("build", "-n", "-f", file))
