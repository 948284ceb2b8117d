"""What people feel: commands from Enter to what is on the screen, beside those of Nix and Guix.

`hello` is the catalogue's, built in its root: once, before anything is measured, which takes a network.
Where there is none these rows stay empty. Commands start interpreters; nothing of that is left out.
"""

from __future__ import annotations

import bz2
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from itertools import count

from commands import Screen, bare, build, environment, fruix, guix, nix, run
from fruix.client import connect
from fruix.model.storepath import StorePath
from peers import BARE, Daemon
from report import OURS
from row import Data, Measure, Row, add_derivation, add_shell
from unavailable import Unavailable

_COMMANDS = 5  # of which the median counts
_EXPRESSION = """
let shell = builtins.storePath "{0}"; in derivation {{
  name = "hello"; system = "x86_64-linux"; builder = "${{shell}}/bin/sh"; PATH = "${{shell}}/bin";
  args = [ "-c" "echo hi > $out" ];
}}
"""
_NUMBERS = count()
_PACKAGE = ("hello",)
# With the host's compiler, which runs outside of sandboxes too.
_HOSTED = ("-e", 'find("hello").inherit(host_view="base", root="")')


def _built(daemon: Daemon, data: Data, script: str = "echo begun-here; echo hi > $out") -> str:
    """A trivial derivation that is built."""
    if "people" not in daemon.paths:
        client = daemon.client()
        daemon.paths["people"] = add_derivation(daemon, client, "people", add_shell(daemon, data), script)
        client.build([daemon.paths["people"]])
        client.close()
    return daemon.paths["people"]


def _fresh(daemon: Daemon, data: Data, script: str) -> str:
    """One that is not."""
    client = daemon.client()
    drv = add_derivation(daemon, client, f"fresh-{next(_NUMBERS)}", add_shell(daemon, data), script)
    client.close()
    return drv


def _median(daemon: Daemon, command: list[str]) -> float:
    return statistics.median(run(daemon, command) for _ in range(_COMMANDS))


def by_derivation(daemon: Daemon, data: Data, _round: int) -> float:
    """The client's command for a derivation that is built already, by its path."""
    return _median(daemon, build(daemon, _built(daemon, data)))


def by_name(daemon: Daemon, data: Data, _round: int) -> float:
    """The same for a package: `fruix build hello`, `nix-build FILE`, `guix build -d hello`."""
    if "by-name" not in daemon.paths:
        daemon.paths["by-name"] = "\n".join(_hello(daemon, data))
        run(daemon, daemon.paths["by-name"].split("\n"))
    return _median(daemon, daemon.paths["by-name"].split("\n"))


def _hello(daemon: Daemon, data: Data) -> list[str]:
    if daemon.name == OURS:
        return fruix("build", *_PACKAGE)
    if daemon.dialect == "guix":
        return guix(daemon, "build", "-d", "hello")
    file = f"{daemon.base}/hello.nix"
    with open(file, "w", encoding="ascii") as stream:
        stream.write(_EXPRESSION.format(add_shell(daemon, data)))
    return nix(daemon, "nix-build", file)


def embedded(daemon: Daemon, data: Data, number: int) -> float:
    """`fruix build hello` where no daemon runs."""
    by_name(daemon, data, number)
    daemon.stop()
    try:
        run(daemon, fruix("build", *_PACKAGE))
        return _median(daemon, fruix("build", *_PACKAGE))
    finally:
        daemon.start()


def first_line(daemon: Daemon, data: Data, _round: int) -> float:
    """From Enter to anything on the screen, for a derivation that has to be built."""
    if daemon.name == BARE:
        command = bare("line", daemon.socket)
    else:
        command = build(daemon, _fresh(daemon, data, "echo hi > $out"))
    with Screen(daemon, command) as screen:
        return screen.wait_for(b"") - screen.begun


def interrupt(daemon: Daemon, data: Data, _round: int) -> float:
    """From ^C in the midst of a build to the prompt."""
    if daemon.name == BARE:
        command = bare("wait", daemon.socket)
    else:
        drv = _fresh(daemon, data, "echo begun-here; while :; do :; done")
        command = [*build(daemon, drv), *(["-v"] if daemon.name == OURS else [])]
    with Screen(daemon, command) as screen:
        screen.wait_for(b"begun-here")
        return screen.press_interrupt()


def running(daemon: Daemon, _data: Data, _round: int) -> float:
    """`fruix ps`, of which the peers have none."""
    return _median(daemon, fruix("ps"))


def log(daemon: Daemon, data: Data, _round: int) -> float:
    """The log of a build: `fruix log`, `nix-store --read-log`."""
    if daemon.name == BARE:
        file = f"{daemon.base}/log.bz2"
        with open(file, "wb") as stream:
            stream.write(bz2.compress(b"begun-here\n"))
        return _median(daemon, bare("log", file))
    drv = _built(daemon, data)
    command = fruix("log", drv) if daemon.name == OURS else nix(daemon, "nix-store", "--read-log", drv)
    return _median(daemon, command)


def sandboxed(daemon: Daemon, _data: Data, _round: int) -> float:
    """A build of hello with the host's tools in the sandbox, over the same script run bare."""
    found = environment(daemon)
    # The environment's daemon is that which is measured.
    run(daemon, fruix("build", *_HOSTED))
    words = fruix("build", "-n", "--json", "--check", *_HOSTED)
    done = subprocess.run(words, env=found, capture_output=True, text=True, check=False)
    drvs = [word for word in done.stdout.replace('"', " ").split() if word.endswith("-hello-2.12.3.drv")]
    if not drvs:
        raise Unavailable(f"the plan names no derivation of hello: {done.stderr[-300:]}")
    inside = run(daemon, fruix("build", "--check", *_HOSTED))
    command = run(daemon, fruix("build", *_HOSTED))  # nothing to do: what loading and lowering take
    return (inside - command) / _bare(daemon, drvs[0])


def _bare(daemon: Daemon, drv: str) -> float:
    """Seconds of a derivation's builder with its environment, in a directory of its own."""
    with connect(daemon.socket, daemon.store) as store:
        derivation = store.read_derivation(StorePath(drv))
    with tempfile.TemporaryDirectory(dir=daemon.base) as place:
        outputs = {path.text: f"{place}/result-{name}" for name, path in derivation.output_paths.items()}
        own = {"HOME": "/homeless", "TMPDIR": place, "NIX_BUILD_TOP": place, "NIX_BUILD_CORES": "1"}
        texts = {name: outputs.get(value, value) for name, value in derivation.env.items()}
        for name in texts.pop("passAsFile", "").split():
            with open(f"{place}/.attr-{name}", "w", encoding="utf-8") as file:
                file.write(texts.pop(name))
            own[f"{name}Path"] = file.name
        own |= {"NIX_STORE": daemon.store, "LC_ALL": "C.UTF-8"}
        begun = time.perf_counter()
        done = subprocess.run(
            [derivation.builder, *derivation.args],
            env={**own, **texts},
            cwd=place,
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.perf_counter() - begun
    if done.returncode != 0:
        raise Unavailable(f"hello fails outside of a sandbox: {(done.stdout + done.stderr)[-500:]}")
    return seconds


def every_package(daemon: Daemon, data: Data, _round: int) -> float:
    """Packages of the catalogue from nothing, two jobs, over the sum of their builds' times."""
    words = fruix("packages")
    listed = subprocess.run(words, env=environment(daemon), capture_output=True, text=True, check=True)
    names = data.packages or [line.split()[0] for line in listed.stdout.splitlines() if line.strip()]
    seconds = run(daemon, fruix("build", "-k", "-j", "2", *names))
    shutil.rmtree(f"{daemon.base}/cache", ignore_errors=True)
    return seconds / _sum_of_builds(daemon)


def _sum_of_builds(daemon: Daemon) -> float:
    import json  # noqa: PLC0415 - this row's alone

    total = 0.0
    for directory, _, names in os.walk(f"{daemon.base}/log"):
        for name in names:
            if name.endswith(".json"):
                with open(os.path.join(directory, name), encoding="utf-8") as file:
                    record = json.load(file)
                total += sum(float(phase.get("seconds", 0)) for phase in record.get("phases", []))
    if not total:
        raise Unavailable("the records of builds name no phases")
    return total


def _row(key: str, title: str, unit: str, work: Measure, rounds: int = 3, dialect: str = "") -> Row:
    on_request = key == "packages"
    return Row(key, title, unit, work, rounds, False, "people", dialect, grows=False, on_request=on_request)


ROWS: tuple[Row, ...] = (
    _row("command", "build command, nothing to do, by derivation", "ms", by_derivation),
    _row("hello", "build command, nothing to do, by name", "ms", by_name),
    _row("embedded", "fruix build hello, no daemon", "ms", embedded, dialect=OURS),
    _row("first-line", "Enter to the first line", "ms", first_line, 5),
    _row("interrupt", "^C to the prompt", "ms", interrupt, 5),
    _row("ps", "fruix ps", "ms", running, dialect=OURS),
    _row("log", "the log of a build", "ms", log, dialect="nix"),
    _row("sandbox", "hello in the sandbox / bare", "times", sandboxed, 2, dialect=OURS),
    _row("packages", "packages, two jobs / sum of phases", "times", every_package, 1, dialect=OURS),
)
