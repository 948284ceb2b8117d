"""A shell in the sandbox of a derivation.

What its builder would see and be, with a terminal instead of the builder.

The sandbox is that of a build: same specification, same build user, directories of its own, a note
in the journal. Its terminal is a fresh pair: the sandbox has the inner end as its controlling
terminal, the outer end goes to the client. No terminal of the user's is ever reachable from inside
(a builder could push keys into it). When the shell ends, or the client leaves, everything is killed
and deleted; nothing is registered.

Who may ask is the daemon's affair (trusted users).
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial

from fruix.building.builders.own import prepare_own
from fruix.building.builders.prepared_builder import PreparedBuilder
from fruix.building.builders.sandbox_spec import SandboxParams, sandbox_spec, shown_view
from fruix.building.plan.goal import BUILD, kind_of
from fruix.building.resources import Resources
from fruix.building.root_view import RootView
from fruix.building.run.keep_failed import bring_back, find_kept, free_room
from fruix.building.status import client_of, with_usage
from fruix.building.workspace import Workspace, noted_workspace, put_files
from fruix.dataclass import dataclass
from fruix.errors import FruixError, InvalidPathError, UsageError
from fruix.late import late_pattern
from fruix.model.activity import ActiveBuild, State
from fruix.model.build_options import BuildOptions, Requester
from fruix.model.hostview import SET_UP_VARIABLE
from fruix.model.storepath import StorePath
from fruix.sandbox import Exec, Exit, File, SandboxSpec, Spawner, User
from fruix.store import LocalStore
from fruix.store.tree.interruption import interruptible

# How often it is looked whether the client is still there (seconds).
POLL = 0.2
# The better one first; what a derivation's builder is called counts too.
SHELLS = ("bash", "sh", "dash", "ash", "ksh")
DIRECTORIES = ("/bin", "/usr/bin", "/usr/local/bin")
# A script inside that does what the builder would do.
BUILDER_FILE = "/etc/fruix-builder"
_TERMINAL = late_pattern(r"[A-Za-z0-9][A-Za-z0-9+._-]{0,63}")


@dataclass(frozen=True, slots=True)
class ShellRequest:
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


class OpenShells:
    """Those that are open, for whoever looks at builds, and how many there may be. Thread-safe.

    Each holds a build user for as long as somebody likes, so they have slots of their own, as many
    as there are build users that builds never need. A user may open another one while that user has
    fewer than are free: one alone gets half of them, and there is one left for who comes later.
    """

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._lock = threading.Lock()
        self._users: list[int | None] = []  # of those that are open, or about to be
        self._open: dict[int, ActiveBuild] = {}

    @contextmanager
    def slot(self, requester: Requester | None) -> Iterator[None]:
        """A slot for this context.

        Raises:
            FruixError: there is none for this user.
        """
        user = requester.uid if requester else None
        with self._lock:
            mine, free = self._users.count(user), self._slots - len(self._users)
            if mine >= free:
                raise FruixError(
                    f"no further shell can be opened: {len(self._users)} are open, {mine} of them yours",
                    hint=f"end one of them, or raise 'build-uid-count' ({self._slots} at most;"
                    " nobody gets more than are left to others)",
                )
            self._users.append(user)
        try:
            yield
        finally:
            with self._lock:
                self._users.remove(user)

    @contextmanager
    def listed(self, pid: int, path: StorePath, requester: Requester | None) -> Iterator[None]:
        """One is open during this context."""
        now = round(time.time() * 1000)
        clients = (client_of(requester),) if requester else ()
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
    request: ShellRequest,
    options: BuildOptions,
    resources: Resources,
    shells: OpenShells,
    on_open: Callable[[int, str], None],
    gone: threading.Event,
) -> Exit:
    """Run a shell to its end.

    Args:
        request: of which derivation, and how.
        options: of the request; contract and cores count.
        resources: what builds share.
        shells: where it is noted while it is open.
        on_open: given the terminal's outer end (closed after the call) and a line about what runs.
        gone: set when the client has left.

    Raises:
        UsageError: it has no sandbox, or no shell in it.
        FruixError: what would keep a build from starting, too.
    """
    resources.store.add_temp_root(request.path)
    derivation = resources.store.read_derivation(request.path)
    if kind_of(derivation) != BUILD:
        raise UsageError(
            f"'{request.path.name}' is built by the daemon itself ({derivation.builder})",
            hint="there is no sandbox with a shell to enter",
        )
    with ExitStack() as stack, interruptible(lambda: FruixError("cancelled") if gone.is_set() else None):
        stack.enter_context(shells.slot(options.requester))
        builder = prepare_own(request.path, derivation, options, resources)
        _keep(resources.store, builder.candidates)
        user = stack.enter_context(resources.users.acquire(gone.is_set))
        area = stack.enter_context(noted_workspace(request.path, user.uid, resources))
        put_files(area, builder.files, user.uid)
        spec = _specify(builder, request, area, user, resources)
        contents = _fill(area, request, options, resources, user.uid)
        listed = partial(shells.listed, path=request.path, requester=options.requester)
        return _run(spec, contents, resources.spawner, listed, on_open, gone)


def _keep(store: LocalStore, paths: Collection[StorePath]) -> None:
    """What the shell may look at stays to its end.

    Raises:
        InvalidPathError: something was collected just before.
    """
    for path in paths:
        store.add_temp_root(path)
    if gone := sorted(set(paths) - store.valid_paths(paths)):
        raise InvalidPathError(str(gone[0]), hint="it was collected just now: build the inputs again")


def _fill(
    area: Workspace, request: ShellRequest, options: BuildOptions, resources: Resources, uid: int
) -> str:
    """Bring back what a failed build left, if it was kept for who asks; says what there is."""
    owner = options.requester.uid if options.requester else os.getuid()
    found = None if request.fresh else find_kept(resources.store.layout.kept, owner, request.path)
    if found is None:
        return "fresh directories"
    skipped = bring_back(found, area, owner, uid, free_room(resources))
    return f"a copy of {found}" + (f" without {skipped} files that can't be copied" if skipped else "")


def find_shell(builder: PreparedBuilder) -> str:
    """The best shell that the builder could run, as seen inside.

    Of its inputs, of its root or host view, or the builder itself.

    Raises:
        UsageError: there is none.
    """
    view, program = builder.view, builder.derivation.builder
    shown = {part.target for part in view.binds} | {link.path for link in view.links} if view else set()
    for shell in SHELLS:
        for source, path in builder.inputs:
            in_root = builder.root is not None and builder.root.source == source  # also seen at /
            if not in_root and os.path.isfile(f"{source}/bin/{shell}"):
                return f"{path}/bin/{shell}"
        places = [f"{place}/{shell}" for place in DIRECTORIES]
        found = next((place for place in places if place in shown or _is_in(builder.root, place)), None)
        if found or os.path.basename(program) == shell:
            return found or program
    raise UsageError(
        f"no shell can be run in the sandbox of '{builder.derivation.name}'",
        hint=f"none of its inputs has bin/{' or bin/'.join(SHELLS[:2])};"
        " add one to its inputs to look around in it",
    )


def _is_in(root: RootView | None, place: str) -> bool:
    return root is not None and os.path.isfile(root.source + place)


def _specify(
    builder: PreparedBuilder, request: ShellRequest, area: Workspace, user: User, resources: Resources
) -> SandboxSpec:
    """The builder's sandbox with a shell in its place, on a terminal."""
    program, shown = builder.program, shown_view(builder, area, resources)
    assert isinstance(program, Exec)
    shell = find_shell(builder)
    if not _TERMINAL.fullmatch(request.terminal):
        raise UsageError(f"'{request.terminal}' is no kind of terminal", hint="set TERM")
    name = request.path.short_name
    environment = {"PS1": f"[{name}]$ ", "TERM": request.terminal, **program.environment}
    set_up = environment.get(SET_UP_VARIABLE, "")
    if set_up and not request.command:
        environment["ENV"] = set_up  # what an interactive shell of POSIX reads first
    import shlex  # noqa: PLC0415 - seldom needed

    command = shlex.join((program.path, *program.argv[1:]))
    script = f"#!{shell}\n# What the builder of {name} is started with.\nexec {command}\n"
    params = SandboxParams(
        area,
        user,
        shown,
        program=Exec(shell, _argv(shell, request.command, set_up), environment, program.directory),
        files=(File(BUILDER_FILE, script.encode("utf-8", "surrogateescape"), 0o555),),
        terminal=True,
    )
    return sandbox_spec(builder, params)


def _argv(shell: str, command: Sequence[str], set_up: str) -> tuple[str, ...]:
    """With what the builder reads first, if it is one of a package."""
    name = os.path.basename(shell)
    if command:
        read = f'[ ! -r "${SET_UP_VARIABLE}" ] || . "${SET_UP_VARIABLE}"; ' if set_up else ""
        return (name, "-c", f'{read}exec "$@"', name, *command)
    if name != "bash":
        return (name, "-i")
    # By POSIX's rules it reads $ENV alone, otherwise the file of /etc that Debian's has been built with too.
    return (name, "--noprofile", "--posix" if set_up else "--norc", "-i")


def _run(
    spec: SandboxSpec,
    contents: str,
    spawner: Spawner,
    listed: Callable[[int], AbstractContextManager[None]],
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
                outer, f"{spec.program.path} in {spec.program.directory}, network: {spec.network}, {contents}"
            )
            # The client's copy is the last one from here on: when it closes that, the terminal
            # hangs up.
            os.close(outer)
            outer = -1
            with listed(child.pid):
                while child.wait(POLL) is None and not gone.is_set():
                    pass
        finally:
            exited = child.finish()
        return exited
    finally:
        for descriptor in (outer, inner):
            if descriptor >= 0:
                os.close(descriptor)
