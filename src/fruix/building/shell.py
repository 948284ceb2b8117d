"""A shell in the sandbox of a derivation: what its builder would see and be, with a terminal instead of the builder.

The sandbox is that of a build: same specification, same build user, directories of its own, a note in the journal. Its terminal is a fresh pair: the
sandbox has the inner end as its controlling terminal, the outer end goes to the client. No terminal of the user's is ever reachable from
inside (a builder could push keys into it). When the shell ends, or the client leaves, everything is killed and deleted; nothing is registered.

Who may ask is the daemon's affair (trusted users).
"""

from __future__ import annotations

import os
import re
import shlex
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial

from fruix.building.builders.interface import OwnBuilder
from fruix.building.keep import free_room
from fruix.building.kept import bring_back, find_kept
from fruix.building.plan.goals import kind_of
from fruix.building.queue.job import Job
from fruix.building.resources import Resources
from fruix.building.run.state import Attempt
from fruix.building.settings import Asker, BuildOptions
from fruix.building.status import client_of, with_usage
from fruix.building.workspace import Workspace, new_name, put_files, workspace
from fruix.errors import FruixError, UsageError
from fruix.model.activity import ActiveBuild, State
from fruix.model.buildresult import BuildResult, BuildStatus
from fruix.model.hostview import SET_UP_VARIABLE
from fruix.model.storepath import StorePath
from fruix.sandbox import Exec, Exit, File, JournalEntry, SandboxSpec, Spawner
from fruix.store.tree.interruption import interruptible

# How often it is looked whether the client is still there (seconds).
POLL = 0.2
# The better one first; what a derivation's builder is called counts too.
SHELLS = ("bash", "sh", "dash", "ash", "ksh")
DIRECTORIES = ("/bin", "/usr/bin", "/usr/local/bin")
# A script inside that does what the builder would do.
BUILDER_FILE = "/etc/fruix-builder"
_TERMINAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Entering:
    """What a client asks for.

    Attributes:
        terminal: the name of its terminal's kind (TERM).
        command: run instead of an interactive shell, if not empty.
        fresh: new directories, also where a failed build's are kept.
    """

    path: StorePath
    terminal: str = "dumb"
    command: tuple[str, ...] = ()
    fresh: bool = False


class Shells:
    """Those that are open, for whoever looks at builds, and how many there may be. Thread-safe.

    Each holds a build user for as long as somebody likes, so they have slots of their own, as many as there are build users that builds never need. A
    user may open another one while he has fewer than are free: so one alone gets half of them, and there is one left for those who come later.
    """

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._lock = threading.Lock()
        self._users: list[int | None] = []  # of those that are open, or about to be
        self._open: dict[int, ActiveBuild] = {}

    @contextmanager
    def slot(self, asker: Asker | None) -> Iterator[None]:
        """A slot for this context.

        Raises:
            FruixError: there is none for this user.
        """
        user = asker.uid if asker else None
        with self._lock:
            mine, free = self._users.count(user), self._slots - len(self._users)
            if mine >= free:
                raise FruixError(
                    f"no further shell can be opened: {len(self._users)} are open, {mine} of them yours",
                    hint=f"end one of them, or raise 'build-uid-count' ({self._slots} at most; nobody gets more than are left to others)",
                )
            self._users.append(user)
        try:
            yield
        finally:
            with self._lock:
                self._users.remove(user)

    @contextmanager
    def noted(self, pid: int, path: StorePath, asker: Asker | None) -> Iterator[None]:
        """One is open during this context."""
        now = round(time.time() * 1000)
        clients = (client_of(asker),) if asker else ()
        self._open[pid] = ActiveBuild(
            path, "shell", State.RUNNING, now, now, phase="shell", pid=pid, clients=clients
        )
        try:
            yield
        finally:
            del self._open[pid]

    def rows(self) -> list[ActiveBuild]:
        """Rows like those of builds, oldest first."""
        return [with_usage(row) for row in list(self._open.values())]


def enter(
    asked: Entering,
    options: BuildOptions,
    with_: Resources,
    shells: Shells,
    on_open: Callable[[int, str], None],
    gone: threading.Event,
) -> Exit:
    """Run a shell to its end.

    Args:
        asked: of which derivation, and how.
        options: of the request; contract and cores count.
        with_: what builds share.
        shells: where it is noted while it is open.
        on_open: given the terminal's outer end (closed after the call) and a line about what runs.
        gone: set when the client has left.

    Raises:
        UsageError: it has no sandbox, or no shell in it.
        FruixError: what would keep a build from starting, too.
    """
    derivation = with_.store.read_derivation(asked.path)
    if kind_of(derivation) == "download":
        raise UsageError(
            f"'{asked.path.name}' is built by the daemon itself ({derivation.builder})",
            hint="there is no sandbox with a shell to enter",
        )
    job = Job(asked.path, derivation, options, "build")
    try:
        with ExitStack() as stack, interruptible(lambda: FruixError("cancelled") if gone.is_set() else None):
            stack.enter_context(shells.slot(options.asker))
            program = OwnBuilder.prepare(Attempt(job, ""), with_)
            for path in program.inputs:
                with_.store.add_temp_root(path)
            user = stack.enter_context(with_.users.acquire(gone.is_set))
            area = stack.enter_context(_area(asked.path, with_, user.uid))
            put_files(area, program.given.files, user.uid)
            spec = _with_shell(program.spec(area, user), find_shell(program, with_), asked)
            said = _fill(area, asked, options, with_, user.uid)
            noted = partial(shells.noted, path=asked.path, asker=options.asker)
            return _run(spec, said, with_.spawner, noted, on_open, gone)
    finally:
        job.finish(BuildResult(BuildStatus.MISC_FAILURE))  # lets go of its descriptors; nobody listens


@contextmanager
def _area(path: StorePath, with_: Resources, uid: int) -> Iterator[Workspace]:
    name, builds = new_name(path, with_.store.database.identity), with_.store.layout.builds
    with_.journal.write(JournalEntry.of(name, uid))
    try:
        with workspace(builds, name, uid, uid) as area:
            yield area
    finally:
        if not os.path.lexists(f"{builds}/{name}"):
            with_.journal.forget(name)


def _fill(area: Workspace, asked: Entering, options: BuildOptions, with_: Resources, uid: int) -> str:
    """Bring back what a failed build left, if it was kept for who asks; says what there is."""
    owner = options.asker.uid if options.asker else os.getuid()
    found = None if asked.fresh else find_kept(with_.store.layout.kept, owner, asked.path)
    if found is None:
        return "fresh directories"
    skipped = bring_back(found, area, owner, uid, free_room(with_))
    return f"a copy of {found}" + (f" without {skipped} files that can't be copied" if skipped else "")


def find_shell(program: OwnBuilder, with_: Resources) -> str:
    """The best shell that the builder could run, as seen inside: of its inputs, of its host view, or the builder itself.

    Raises:
        UsageError: there is none.
    """
    shown = {part.target for part in program.view.binds} if program.view else set()
    shown |= {link.path for link in program.view.links} if program.view else set()
    builder = program.derivation.builder
    for shell in SHELLS:
        for path in program.inputs:
            if os.path.isfile(f"{with_.store.real(path)}/bin/{shell}"):
                return f"{path}/bin/{shell}"
        found = next((f"{place}/{shell}" for place in DIRECTORIES if f"{place}/{shell}" in shown), None)
        if found or os.path.basename(builder) == shell:
            return found or builder
    raise UsageError(
        f"no shell can be run in the sandbox of '{program.derivation.name}'",
        hint=f"none of its inputs has bin/{' or bin/'.join(SHELLS[:2])}; add one to its inputs to look around in it",
    )


def _with_shell(spec: SandboxSpec, shell: str, asked: Entering) -> SandboxSpec:
    """The builder's specification with a shell in its place."""
    builder = spec.program
    assert isinstance(builder, Exec)
    if not _TERMINAL.fullmatch(asked.terminal):
        raise UsageError(f"'{asked.terminal}' is no kind of terminal", hint="set TERM")
    name = asked.path.name.removesuffix(".drv")
    environment = {"PS1": f"[{name}]$ ", "TERM": asked.terminal, **builder.environment}
    set_up = environment.get(SET_UP_VARIABLE, "")
    if set_up and not asked.command:
        environment["ENV"] = set_up  # what an interactive shell of POSIX reads first
    script = f"#!{shell}\n# What the builder of {name} is started with.\nexec {shlex.join((builder.path, *builder.argv[1:]))}\n"
    return replace(
        spec,
        terminal=True,
        files=(*spec.files, File(BUILDER_FILE, script.encode("utf-8", "surrogateescape"), 0o555)),
        program=Exec(shell, _argv(shell, asked.command, set_up), environment, builder.directory),
    )


def _argv(shell: str, command: Sequence[str], set_up: str) -> tuple[str, ...]:
    """With what the builder reads first, if it is one of a package."""
    name = os.path.basename(shell)
    if command:
        read = f'[ ! -r "${SET_UP_VARIABLE}" ] || . "${SET_UP_VARIABLE}"; ' if set_up else ""
        return (name, "-c", f'{read}exec "$@"', name, *command)
    if name != "bash":
        return (name, "-i")
    return (name, "--noprofile", *(("--rcfile", set_up) if set_up else ("--norc",)), "-i")


def _run(
    spec: SandboxSpec,
    said: str,
    spawner: Spawner,
    noted: Callable[[int], AbstractContextManager[None]],
    on_open: Callable[[int, str], None],
    gone: threading.Event,
) -> Exit:
    outer, inner = os.openpty()
    try:
        child = spawner.spawn(spec, inner)
        os.close(inner)
        inner = -1
        try:
            assert isinstance(spec.program, Exec)
            on_open(
                outer, f"{spec.program.path} in {spec.program.directory}, network: {spec.network}, {said}"
            )
            # The client's copy is the last one from here on: when it closes that, the terminal hangs up.
            os.close(outer)
            outer = -1
            with noted(child.pid):
                while child.wait(POLL) is None and not gone.is_set():
                    pass
        finally:
            exited = child.finish()
        return exited
    finally:
        for descriptor in (outer, inner):
            if descriptor >= 0:
                os.close(descriptor)
