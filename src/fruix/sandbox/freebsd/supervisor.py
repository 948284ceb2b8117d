"""One sandbox's supervisor.

It mounts, forks the builder, waits for everything in the sandbox, and ends it. What it mounted is
unmounted by whoever hears its report (`undo.tidy`), or by itself if nobody does.

It is root and outside of the jail, and holds five descriptors: the log, the status pipe (a setup that
failed), the control pipe (a byte or its end: kill), the birth pipe (the builder's process number), the
report pipe (how it went, written when nothing is left; its end without a report tells the spawner to
undo what the supervisor could not). It is the reaper of all that it started.

While it works it holds a lock on the build directory, so that a new daemon's recovery waits
for it.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import resource
import signal
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from fruix import failpoints
from fruix.dataclass import asdict, dataclass
from fruix.sandbox.back_ends import Exit
from fruix.sandbox.child_common import report
from fruix.sandbox.freebsd import child as children
from fruix.sandbox.freebsd import devices, jail, kept_roots, mounts, rctl, reaper, users, visibility
from fruix.sandbox.freebsd.abi import FileSystem
from fruix.sandbox.freebsd.descriptors import drain, keep_only, readable, wake_on_exit
from fruix.sandbox.freebsd.kernel import Kernel
from fruix.sandbox.freebsd.parked_jail import ParkedJail
from fruix.sandbox.freebsd.release import release_in
from fruix.sandbox.freebsd.standing import Standing, can_stand, lasting
from fruix.sandbox.freebsd.undo import bring_back, enter, hold, tidy, wait_for_lock
from fruix.sandbox.root_skeleton import make_links
from fruix.sandbox.spawner.ipc import SpawnRequest
from fruix.sandbox.spec import SandboxSpec


@dataclass(slots=True)
class Supervisor:
    """What a supervisor knows of its sandbox, and holds for it.

    Attributes:
        base: the build directory, canonical; its own root lies in it.
        root: the sandbox's root: the build's own, or a kept one (`kept_roots`).
        skeleton: what the root holds.
        parked: the jail that stands ready; None: none does, or it didn't fit.
        kept: whether it was kept by an earlier build, so that it is complete.
        standing: what of its mounts may stay for the next build.
        table: the mounts of the system, as of when the root was chosen.
        wake: readable when a child has ended.
        entered: readable when the jail exists.
    """

    kernel: Kernel
    spec: SandboxSpec
    base: str
    root: str
    log: int
    status: int
    control: int
    birth: int
    result: int
    wake: int
    skeleton: kept_roots.Skeleton
    parked: ParkedJail | None = None
    reaping: bool = False
    kept: bool = False
    standing: Standing | None = None
    table: Sequence[FileSystem] = ()
    entered: int = -1
    builder: int = 0
    builder_status: int | None = None

    def live(self) -> None:
        """Set the sandbox up, wait for its end, make sure of it and report how it went."""
        if self._set_up():
            self._watch()
        left = ""
        try:
            self._end()
        except BaseException as error:  # noqa: BLE001 - the spawner is told
            left = str(error) or type(error).__name__
        standing = self.standing and not left and asdict(self.standing)
        told = {"exit": self._exit(), "left": left, "standing": standing or None}
        os.write(self.result, json.dumps(told).encode())

    def _set_up(self) -> bool:
        """Whether a child was forked; else the status pipe says why not."""
        step = ""
        try:
            for step, action in STEPS:
                if self.control in readable((self.control,), 0):
                    raise OSError(errno.ECANCELED, os.strerror(errno.ECANCELED))
                failpoints.reach(step)
                action(self)
        except BaseException as error:  # noqa: BLE001 - likewise
            # Also where nobody is left to be told there is something to undo.
            with contextlib.suppress(BrokenPipeError):
                report(self.status, step, error)
        finally:
            os.close(self.status)  # from now on only the child holds it
        return self.builder != 0

    def _watch(self) -> None:
        """Return when the builder has ended, or the spawner wants it ended."""
        waited_for = [self.control, self.wake, *([self.entered] if self.entered >= 0 else [])]
        while True:
            reaper.reap(self._note)
            if self.builder_status is not None:
                return
            ready = readable(waited_for, None)
            if self.control in ready:
                return
            if self.entered in ready:
                waited_for.remove(self.entered)
                jail.own(self.kernel, self.spec.id)  # open to the end: the jail can't outlive this process
            drain(self.wake)

    def _end(self) -> None:
        if self.reaping or self.parked is not None:  # else there is nobody
            reaper.end_descendants(self.kernel, self.spec.id, self._note)
        bring_back(self.spec)
        if self._is_alone():
            self.standing = None
            tidy(self.kernel, self.spec)

    def _is_alone(self) -> bool:
        """Whether the spawner has gone, and so whoever would tidy up."""
        while self.control in readable((self.control,), 0):
            if not os.read(self.control, 1):
                return True
        return False

    def _note(self, pid: int, status: int) -> None:
        if pid == self.builder:
            self.builder_status = status

    def _exit(self) -> dict[str, Any]:
        status = signal.SIGKILL if self.builder_status is None else self.builder_status
        return asdict(Exit.of(status, resource.getrusage(resource.RUSAGE_CHILDREN)))


def run(kernel: Kernel, spec: SandboxSpec, descriptors: Sequence[int]) -> NoReturn:
    """The supervisor's whole life, in a freshly forked process.

    `descriptors`: log, status, control, birth and report.
    """
    try:
        failpoints.know("builder", os.getpid())
        supervise(kernel, spec, keep_only(kernel, descriptors), wake_on_exit())
    finally:
        os._exit(0)


def supervise(
    kernel: Kernel, spec: SandboxSpec, descriptors: Sequence[int], wake: int, parked: ParkedJail | None = None
) -> None:
    """One sandbox, from its set-up to the report of its end; `parked`: what stands ready, maybe for it."""
    log, status, control, birth, result = descriptors
    root = os.path.realpath(spec.root)
    base, skeleton = os.path.dirname(root), kept_roots.skeleton_of(spec)
    Supervisor(kernel, spec, base, root, log, status, control, birth, result, wake, skeleton, parked).live()


# The steps, in order. Each takes the Supervisor; the root is the current directory from the second on.


def _begin(here: Supervisor) -> None:
    """Refuse what there is no way to do here; be found by a recovery; be the one to whom orphans fall."""
    spec = here.spec
    impossible = {
        f"personality '{spec.personality}'": spec.personality != "native",
        "other ids inside than outside": spec.identity.user_namespace,
    }
    if wanted := [what for what, asked in impossible.items() if asked]:
        raise OSError(errno.EOPNOTSUPP, f"{os.strerror(errno.EOPNOTSUPP)}: {', '.join(wanted)}")
    hold(here.base)
    if here.parked is None:
        reaper.acquire(here.kernel)
    here.reaping = True


def _parked(here: Supervisor) -> None:
    """Take what stands ready, or undo it and go on as if nothing had."""
    if here.parked is None:
        return
    here.table = here.kernel.getfsstat()
    if not here.parked.take(here.spec, here.table):
        here.parked.undo()
        here.parked = None


def _root(here: Supervisor) -> None:
    """Nobody but root reaches it from outside: the directories above it are closed."""
    kept = kept_roots.kept_root(here.spec)
    if here.parked is not None:
        here.kept = True
    else:
        can_keep = not here.skeleton.has_copies()
        here.table = enter(here.kernel, kept) if can_keep else here.kernel.getfsstat()
        here.kept = can_keep and kept_roots.usable(kept, here.skeleton)
    if here.kept:
        here.root = kept
    os.chdir(here.root)
    if not here.kept:
        here.skeleton.make()


def _users(here: Supervisor) -> None:
    """Make the databases of users, unless a kept root has them.

    Builds work without names of users, so a system that can't make them says so in the log, no
    more.
    """
    if here.kept:
        return
    try:
        users.make_databases(here.spec.files, f"{os.path.dirname(here.base)}/{users.DIRECTORY}")
    except OSError as error:
        os.write(here.log, f"fruix: this build knows no users by name: {error.strerror}\n".encode())
        return
    if not here.skeleton.has_copies():
        own, here.root = here.root, kept_roots.kept_root(here.spec)
        kept_roots.keep(own, here.root, here.skeleton, here.table)
        wait_for_lock(os.path.dirname(here.root))


def _mounts(here: Supervisor) -> None:
    kept = here.root == kept_roots.kept_root(here.spec) and can_stand(here.spec)
    standing = Standing.of(here.spec, here.table) if kept else None
    there = frozenset(lasting(here.spec)) if here.parked is not None else frozenset()
    areas = frozenset(here.skeleton.areas)
    for bind in here.spec.binds:
        if bind in areas:
            visibility.move_in(bind, here.root, here.spec.identity.gid)
        elif bind not in there:
            visibility.show(here.kernel, bind, here.root, here.table, here.spec.identity.gid)
    here.standing = standing
    present = frozenset(here.skeleton.links)
    make_links(link for link in here.spec.links if link not in present)


def _devices(here: Supervisor) -> None:
    target, ruleset = f"{here.root}/dev", devices.ruleset_of(here.spec.id)
    if here.parked is not None:
        devices.check_devices(target, ruleset)
    else:
        devices.mount_devices(here.kernel, target, ruleset)


def _tmpfs(here: Supervisor) -> None:
    if here.parked is None:
        mounts.mount_tmpfs(here.kernel, here.spec.tmpfs, here.root)


def _limits(here: Supervisor) -> None:
    rctl.apply(here.kernel, here.spec)


def _fork(here: Supervisor) -> None:
    """Fork the builder, or let the process go on that waits in the parked jail."""
    if here.parked is not None:
        request = SpawnRequest(here.spec, failpoints.text())
        here.builder = here.parked.release(request, (here.log, here.status))
        os.write(here.birth, b"%d" % here.builder)
        return
    parameters = jail.parameters(here.kernel, here.spec, here.root, release_in(here.root))
    os.chdir("/")
    supervisor = os.getpid()
    here.entered, entered = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(here.entered)
        children.run(
            children.ChildState(
                here.kernel, here.spec, parameters, here.log, here.status, entered, supervisor
            )
        )
    here.builder = pid  # before anything else can fail: it has to be ended from now on
    os.close(entered)
    os.write(here.birth, b"%d" % pid)


STEPS: tuple[tuple[str, Callable[[Supervisor], None]], ...] = (
    ("reaper", _begin),
    ("parked", _parked),
    ("root", _root),
    ("users", _users),  # before anything is mounted: a root that is kept is renamed
    ("mounts", _mounts),
    ("devices", _devices),
    ("tmpfs", _tmpfs),
    ("resource-limits", _limits),
    ("fork", _fork),
)
