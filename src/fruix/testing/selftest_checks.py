"""The self-test's checks, in order.

Each is a function of the bench that returns what it found, or raises `FailedError`.

Later checks use what earlier ones made (the compiled program, a valid path); one that fails ends
only those that need it.
"""

from __future__ import annotations

import os
import socket
import stat
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from fruix.building.record.record_file import read_record
from fruix.dataclass import dataclass, field
from fruix.errors import FruixError
from fruix.model.buildresult import BuildResult
from fruix.model.storepath import StorePath
from fruix.sandbox import back_end
from fruix.testing import derivations, expected_view
from fruix.testing.scratch_daemon import Scratch
from fruix.testing.traces import lasting

BUILD_USERS = range(35001, 35033)  # 35001, unless another daemon of this machine is building
FEW_PROCESSES = 100  # more than the builder of the check ever has
DOORS_SOURCE = Path(__file__).with_name("doors.c")


class FailedError(FruixError):
    """A check found something else than it should."""


class NotTriedError(FruixError):
    """This machine can't answer; the message says why, and what it would take."""


@dataclass(slots=True)
class Bench:
    """What the checks share. `made`: what earlier ones built, by name."""

    scratch: Scratch
    made: dict[str, StorePath] = field(default_factory=dict)

    def build(
        self,
        name: str,
        script: str,
        *,
        sources: Iterable[StorePath] = (),
        env: Mapping[str, str] | None = None,
    ) -> derivations.Built:
        """Build with a connection of its own."""
        with closing(self.scratch.connect()) as store:
            return derivations.build(store, name, script, sources=sources, env=env)

    def succeed(
        self,
        name: str,
        script: str,
        *,
        sources: Iterable[StorePath] = (),
        env: Mapping[str, str] | None = None,
    ) -> derivations.Built:
        """Build; what fails is the check's failure."""
        built = self.build(name, script, sources=sources, env=env)
        if not built.result.success:
            raise FailedError(told(built.result))
        self.made[name] = built.output
        return built

    def needs(self, name: str) -> StorePath:
        """The store path that an earlier check built; fails the check if that one failed."""
        if name not in self.made:
            raise FailedError(f"can't be tried without '{name}', which failed before")
        return self.made[name]

    def record(self, drv: StorePath) -> dict[str, Any]:
        """The record of a derivation's build."""
        record = read_record(self.scratch.layout.log_file(drv))
        if record is None:
            raise FailedError(f"there is no record of {drv}")
        return record

    def clean(self) -> None:
        """Fail if anything of a build is left."""
        if left := lasting(self.scratch.layout):
            raise FailedError(f"left behind: {'; '.join(left)}")


def told(result: BuildResult) -> str:
    """A result on one line."""
    return f"{result.status.name}: {' | '.join(result.message.splitlines())}"


def _daemon(bench: Bench) -> str:
    bench.scratch.start()
    with closing(bench.scratch.connect()) as store:
        return f"{store.daemon_version} on {bench.scratch.layout.socket}"


def _view(bench: Bench) -> str:
    with closing(bench.scratch.connect()) as store:
        view = store.host_view(derivations.VIEW)
    return f"'{derivations.VIEW}': {len(view.tools)} entries, fingerprint {view.fingerprint[:16]}…"


def _first_build(bench: Bench) -> str:
    built = bench.succeed("first", 'echo "made by $(id -u)" > $out')
    path = built.output.text
    with open(path, encoding="ascii") as file:
        text = file.read()
    isolation = bench.record(built.drv)["isolation"]
    if text != f"made by {isolation['insideUid']}\n":
        raise FailedError(f"{path} holds {text!r}, the record says uid {isolation['insideUid']} inside")
    if isolation["uid"] not in BUILD_USERS or isolation["gid"] != isolation["uid"]:
        raise FailedError(f"built by {isolation['uid']}:{isolation['gid']}, who is not of the pool")
    bench.clean()
    return f"{isolation['kind']} {isolation['name']}, uid {isolation['uid']}, {path}"


def _valid_already(bench: Bench) -> str:
    again = bench.build("first", 'echo "made by $(id -u)" > $out')
    if again.result.status.name != "ALREADY_VALID":
        raise FailedError(told(again.result))
    return "nothing was built"


def _canonical(bench: Bench) -> str:
    """A tree with modes, times and (where there are such) flags that a store object may not have."""
    script = """
mkdir -p $out/d && echo x > $out/d/f && chmod 700 $out/d/f
echo y > $out/g && chmod 640 $out/g && ln -s d/f $out/l
touch -t 200102030405 $out/g
chflags uchg $out/d/f 2>/dev/null || :
"""
    top = bench.succeed("canonical", script).output.text
    wanted = {"": 0o555, "/d": 0o555, "/d/f": 0o555, "/g": 0o444, "/l": None}
    for name, mode in wanted.items():
        status = os.lstat(top + name)
        found = (status.st_uid, status.st_gid, int(status.st_mtime), getattr(status, "st_flags", 0))
        if found != (0, 0, 1, 0) or (mode is not None and stat.S_IMODE(status.st_mode) != mode):
            raise FailedError(
                f"{top}{name}: owner, group, time, flags {found}, mode {stat.S_IMODE(status.st_mode):04o}"
            )
    return "owner 0:0, modes 0444 and 0555, time 1, no flags"


def _what_is_seen(bench: Bench) -> str:
    """A declared input, an undeclared one, and everything else that a builder can list."""
    with closing(bench.scratch.connect()) as store:
        secret = store.add_text("undeclared", b"x")
        directory = bench.succeed("declared", "mkdir $out && echo x > $out/f").output
        view = frozenset(store.host_view(derivations.VIEW).tools)
    env = {"input": directory.text, "declared": "with spaces"}
    built = bench.succeed("look", f"({expected_view.LOOK}) > $out", sources=[directory], env=env)
    record = bench.record(built.drv)["isolation"]
    found = expected_view.differences(
        Path(built.output.text).read_text("utf-8"),
        expected_view.KINDS[record["kind"]],
        uid=record["insideUid"],
        store=bench.scratch.layout.store,
        input_path=directory.text,
        env=built.derivation.env,
        view=view,
    )
    if found:
        raise FailedError("; ".join(found))
    return f"exactly what the contract says, {secret.name} is not among it"


def _compile(bench: Bench) -> str:
    with closing(bench.scratch.connect()) as store:
        source = store.add_path("doors.c", str(DOORS_SOURCE))
    built = bench.succeed("doors", "cc -O1 -o $out $source", sources=[source], env={"source": source.text})
    return built.output.text


def _escapes(bench: Bench) -> str:
    program, file = bench.needs("doors"), bench.needs("first")
    with socket.socket() as listener, _process_outside() as pid:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        words = [file.text, bench.scratch.layout.database, pid, listener.getsockname()[1]]
        kind = back_end().kind
        arguments = " ".join(map(str, [*words, bench.scratch.layout.socket, kind]))
        built = bench.succeed("escapes", f"{program} {arguments} > $out", sources=[program, file])
    printed = Path(built.output.text).read_text("utf-8")
    if found := expected_view.open_doors(printed, kind):
        raise FailedError("; ".join(found))
    return f"{len(expected_view.doors_of(kind))} ways tried, all shut"


@contextmanager
def _process_outside() -> Iterator[int]:
    """A process whose number is surely none of the builder's own, where those count from 1."""
    while True:
        process = subprocess.Popen(["/bin/sh", "-c", "read -r line"], stdin=subprocess.PIPE)
        try:
            if process.pid > FEW_PROCESSES:
                yield process.pid
                return
        finally:
            process.kill()
            process.communicate()


def _failing_builder(bench: Bench) -> str:
    built = bench.build("failing", "echo to the log; mkdir $out; exit 7")
    if built.result.success or "exit code 7" not in built.result.message:
        raise FailedError(told(built.result))
    if os.path.lexists(built.output.text):
        raise FailedError(f"its output is there: {built.output}")
    bench.clean()
    return built.result.message.splitlines()[0]


def _left_processes(bench: Bench) -> str:
    """Processes in the background, one of them in another session, that ignore what can be ignored."""
    script = "(trap '' HUP TERM INT; sleep 1000) & (trap '' HUP; sleep 1000) > /dev/null 2>&1 & echo x > $out"
    bench.succeed("background", script)
    bench.clean()
    return "two processes in the background were ended with the build"


CHECKS: tuple[tuple[str, Callable[[Bench], str]], ...] = (
    ("daemon starts", _daemon),
    ("host view", _view),
    ("first build", _first_build),
    ("already valid", _valid_already),
    ("canonical outputs", _canonical),
    ("what is seen", _what_is_seen),
    ("compiler", _compile),
    ("escapes", _escapes),
    ("failing builder", _failing_builder),
    ("left processes", _left_processes),
)
