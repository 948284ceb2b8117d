"""What the daemon and commands load at their start: modules, whose number no load of the machine changes."""

from __future__ import annotations

import bz2
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import peers
from own_daemon import own_daemon

# The modules of the standard library that may be asked for; they bring others.
_ALWAYS = """
    __future__ argparse atexit base64 collections.abc contextlib contextvars ctypes enum errno fcntl functools
    gc graphlib hashlib importlib itertools json operator os queue re resource select signal
    socket stat struct sys termios threading time types typing zlib
"""
ALWAYS = frozenset(_ALWAYS.split())
# Of commands that are answered at once (`cli.quick`), besides what an interpreter loads.
QUICK = frozenset(
    {"__future__", "_socket", "atexit", "bz2", "errno", "gc", "os", "sys", "time", "types", "zlib"}
)
DAEMON = (ALWAYS - {"argparse", "graphlib", "hashlib", "zlib"}) | {"grp", "pwd", "sqlite3", "tomllib"}
# With packages: where definitions are, and what they say.
BUILD = (
    ALWAYS
    | {"difflib", "fnmatch", "grp", "logging", "pkgutil", "pwd", "shlex", "urllib.parse"}
    | {"unicodedata"}
)
# What is loaded → its modules of the standard library, and how many of Fruix's there may be.
LOADED = {
    "--version": (ALWAYS, 8),
    "ps": (QUICK, 21),
    "log": (QUICK, 21),
    "build": (BUILD, 139),
    "first line": (BUILD, 137),
    "first line DRV": (QUICK, 21),
    # Of paths: no definition is read, nothing is lowered.
    "build DRV": (ALWAYS, 111),
    "gc -n": (BUILD, 101),
    "show DRV": (ALWAYS, 89),
    "why -b DRV DRV": (BUILD, 94),
    "store info DRV": (BUILD, 106),
    "daemon": (DAEMON, 225),
}
# Rooms that a daemon needs for requests of some kinds alone.
LATER = (
    "fruix.building.builder",
    "fruix.building.recovery",
    "fruix.building.run",
    "fruix.cli.commands.build",
    "fruix.downloads.opener",
    "fruix.hostview",
    "fruix.packages",
    "fruix.protocol.operations",
    "fruix.signing.libcrypto",
    "fruix.signing.libgcrypt",
    "fruix.store.collection.collector",
    "fruix.store.deduplication.replace",
    "fruix.store.outputs.staged",
    "fruix.store.verification.objects",
    "fruix.substitutes.fetcher",
    "fruix.testing",
)
TRIVIAL = 'Package(name="x", version="1", build_system="trivial", arguments={"script": "echo > $out"})'

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="machine: the daemon runs as root")


@pytest.fixture(scope="module")
def daemon() -> Iterator[peers.Daemon]:
    def told(found: peers.Daemon) -> None:
        found.command[1:1] = ["-X", "importtime"]

    with own_daemon(told) as found:
        found.paths["start"] = Path(f"{found.base}/daemon.log").read_text()
        yield found


def modules(said: str) -> frozenset[str]:
    return frozenset(re.findall(r"^import time:.*\| +([\w.]+)$", said, re.MULTILINE))


def brought(asked: frozenset[str]) -> frozenset[str]:
    """Those of the standard library that come with them in this version of Python."""
    program = f"import {', '.join(sorted(asked))}"
    words = [sys.executable, "-IS", "-X", "importtime", "-c", program]
    return modules(subprocess.run(words, capture_output=True, text=True, check=True).stderr) | asked


def command(daemon: peers.Daemon, *words: str) -> str:
    done = subprocess.run(
        [peers.PROGRAM[0], "-X", "importtime", *peers.PROGRAM[1:], *words],
        env={**os.environ, **daemon.environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stderr


def a_log(daemon: peers.Daemon) -> str:
    """The name of a derivation that has one."""
    base = "0" * 32 + "-x.drv"
    place = Path(daemon.environment["FRUIX_LOG_DIR"]) / "drvs" / base[:2] / base[2:]
    place.parent.mkdir(parents=True, exist_ok=True)
    place.with_name(place.name + ".bz2").write_bytes(bz2.compress(b"a line\n"))
    return f"{daemon.store}/{base}"


def a_derivation(daemon: peers.Daemon) -> str:
    """A derivation that is in the store."""
    command(daemon, "build", "-e", TRIVIAL)
    (name,) = (name for name in os.listdir(daemon.store) if name.endswith("-x-1.drv"))
    return f"{daemon.store}/{name}"


def an_unbuilt_derivation(daemon: peers.Daemon) -> str:
    """A derivation that is in the store, but not its output."""
    expression = TRIVIAL.replace('"x"', '"unbuilt"')
    said = command(daemon, "build", "-n", "-e", expression)
    (found,) = re.findall(r"^ +(/\S+-unbuilt-1\.drv)$", said, re.MULTILINE)
    return str(found)


def test_nothing_is_collected_while_modules_are_loaded_nor_at_the_end() -> None:
    program = """
import atexit, gc, importlib.util, sys

def collections():
    return sum(generation["collections"] for generation in gc.get_stats())

def at_end():
    print(collections() - before, gc.get_freeze_count() > 100 * len(gc.get_objects()), file=sys.stderr)

atexit.register(at_end)
sys.argv[:] = ["fruix", "ps", "--help"]
code = importlib.util.find_spec("fruix.__main__").loader.get_code("fruix.__main__")  # compiled, if need be
before = collections()
exec(code, {"__name__": "__main__"})
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == "0 True\n"


@pytest.mark.parametrize("what", LOADED)
def test_modules(what: str, daemon: peers.Daemon) -> None:
    allowed, most = LOADED[what]
    words = [a_derivation(daemon) if word == "DRV" else word for word in what.split()]
    if what == "log":
        words = ["log", a_log(daemon)]
    elif what == "build":
        words = ["build", "-e", TRIVIAL]
    elif what == "first line DRV":
        words = ["build", an_unbuilt_derivation(daemon)]
    if what == "daemon":
        loaded = modules(daemon.paths["start"])
        assert not [name for name in loaded if any(f"{name}.".startswith(f"{room}.") for room in LATER)]
    elif what.startswith("first line"):
        if what == "first line":
            words = ["build", "-e", TRIVIAL.replace('"x"', '"fresh"')]
        said = command(daemon, *words)
        before, found, _ = said.partition("\n1 to build")
        assert found
        loaded = modules(before)
    else:
        if what == "build":
            command(daemon, *words)
        loaded = modules(command(daemon, *words))
    own = {name for name in loaded if name.partition(".")[0] == "fruix"}
    unexpected = " ".join(sorted(loaded - own - brought(allowed)))
    assert not unexpected
    assert len(own) <= most, Counter(name.rpartition(".")[0] for name in own).most_common()
