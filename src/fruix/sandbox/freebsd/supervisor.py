"""One sandbox's supervisor.

It mounts, forks the builder, waits for everything in the sandbox, and ends it. What it mounted is
unmounted by whoever hears its report (`undo.tidy`), or by itself if nobody does.

It is forked by the spawner, is root and outside of the jail, and holds five descriptors: the log,
the status pipe (a setup that failed), the control pipe (a byte or its end: kill), the birth pipe
(the builder's process number), the report pipe (how it went, written when nothing is left; its end
without a report tells the spawner to undo what the supervisor could not). It is the reaper of all
that it started.

While it works it holds a lock on the build directory, so that a new daemon's recovery waits
for it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import resource
import select
import signal
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from fruix import failpoints
from fruix.dataclass import asdict, dataclass
from fruix.sandbox.back_ends import Exit
from fruix.sandbox.child_common import report
from fruix.sandbox.freebsd import child as children
from fruix.sandbox.freebsd import devices, jail, kept_roots, mounts, rctl, reaper, users, visibility
from fruix.sandbox.freebsd.abi import MNT_NOSUID
from fruix.sandbox.freebsd.kernel import Kernel
from fruix.sandbox.freebsd.release import release_in
from fruix.sandbox.freebsd.undo import bring_back, hold, tidy
from fruix.sandbox.root_skeleton import make_links
from fruix.sandbox.spec import SandboxSpec

_FIRST = 3  # the descriptors that are kept begin here
_HIGH = 64  # where none of those that are moved there can be
_DRAIN = 512


@dataclass(slots=True)
class Supervisor:
    """What a supervisor knows of its sandbox, and holds for it.

    Attributes:
        base: the build directory, canonical; its own root lies in it.
        root: the sandbox's root: the build's own, or a kept one (`kept_roots`).
        skeleton: what the root holds.
        kept: whether it was kept by an earlier build, so that it is complete.
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
    kept: bool = False
    entered: int = -1
    builder: int = 0
    builder_status: int | None = None

    @property
    def builds(self) -> str:
        """The directory of build directories."""
        return os.path.dirname(self.base)

    def live(self) -> None:
        """Set the sandbox up, wait for its end, make sure of it and report how it went."""
        if self._set_up():
            self._watch()
        left = ""
        try:
            self._end()
        except BaseException as error:  # noqa: BLE001 - the spawner is told
            left = str(error) or type(error).__name__
        os.write(self.result, json.dumps({"exit": self._exit(), "left": left}).encode())

    def _set_up(self) -> bool:
        """Whether a child was forked; else the status pipe says why not."""
        step = ""
        try:
            for step, action in STEPS:
                if self.control in _readable((self.control,), 0):
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
        waited_for = [self.control, self.wake, self.entered]
        while True:
            reaper.reap(self._note)
            if self.builder_status is not None:
                return
            ready = _readable(waited_for, None)
            if self.control in ready:
                return
            if self.entered in ready:
                waited_for.remove(self.entered)
                jail.own(self.kernel, self.spec.id)  # open to the end: the jail can't outlive this process
            with contextlib.suppress(BlockingIOError):
                os.read(self.wake, _DRAIN)

    def _end(self) -> None:
        if self.builder:  # else there is nobody, and this may be no reaper
            reaper.end_descendants(self.kernel, self.spec.id, self._note)
        bring_back(self.spec)
        if self._is_alone():
            tidy(self.kernel, self.spec)

    def _is_alone(self) -> bool:
        """Whether the spawner has gone, and so whoever would tidy up."""
        while self.control in _readable((self.control,), 0):
            if not os.read(self.control, _DRAIN):
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
        log, status, control, birth, result = _keep(kernel, descriptors)
        root = os.path.realpath(spec.root)
        base = os.path.dirname(root)
        wake, skeleton = _wake_on_exit(), kept_roots.skeleton_of(spec)
        Supervisor(kernel, spec, base, root, log, status, control, birth, result, wake, skeleton).live()
    finally:
        os._exit(0)


def _keep(kernel: Kernel, descriptors: Sequence[int]) -> list[int]:
    """Close everything else: other sandboxes' pipes above all, whose ends would never be seen."""
    high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _HIGH) for descriptor in descriptors]
    kept = [os.dup2(descriptor, _FIRST + index, inheritable=False) for index, descriptor in enumerate(high)]
    kernel.closefrom(_FIRST + len(kept))
    return kept


def _wake_on_exit() -> int:
    """A descriptor that becomes readable whenever a child ends."""
    reading, writing = os.pipe()
    for descriptor in (reading, writing):
        os.set_blocking(descriptor, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return reading


def _readable(descriptors: Sequence[int], timeout: float | None) -> set[int]:
    poller = select.poll()
    for descriptor in descriptors:
        poller.register(descriptor, select.POLLIN)
    return {descriptor for descriptor, _ in poller.poll(timeout)}


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
    reaper.acquire(here.kernel)


def _root(here: Supervisor) -> None:
    """Nobody but root reaches it from outside: the directories above it are closed."""
    kept = kept_roots.kept_root(here.spec)
    here.kept = not here.skeleton.has_copies() and kept_roots.usable(kept, here.skeleton)
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
        users.make_databases(here.spec.files, f"{here.builds}/{users.DIRECTORY}")
    except OSError as error:
        os.write(here.log, f"fruix: this build knows no users by name: {error.strerror}\n".encode())
        return
    if not here.skeleton.has_copies():
        own, here.root = here.root, kept_roots.kept_root(here.spec)
        kept_roots.keep(own, here.root, here.skeleton, here.kernel.getfsstat())


def _mounts(here: Supervisor) -> None:
    table = here.kernel.getfsstat()
    areas = frozenset(here.skeleton.areas)
    for bind in here.spec.binds:
        if bind in areas:
            visibility.move_in(bind, here.root, here.spec.identity.gid)
        else:
            visibility.show(here.kernel, bind, here.root, table, here.spec.identity.gid)
    present = frozenset(here.skeleton.links)
    make_links(link for link in here.spec.links if link not in present)


def _devices(here: Supervisor) -> None:
    devices.mount_devices(here.kernel, f"{here.root}/dev", devices.ruleset_of(here.spec.id))


def _tmpfs(here: Supervisor) -> None:
    for wanted in here.spec.tmpfs:
        options = mounts.tmpfs(here.root + wanted.path, wanted.size, wanted.mode)
        mounts.mount(here.kernel, options, MNT_NOSUID)


def _limits(here: Supervisor) -> None:
    rctl.apply(here.kernel, here.spec)


def _fork(here: Supervisor) -> None:
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
    ("root", _root),
    ("users", _users),  # before anything is mounted: a root that is kept is renamed
    ("mounts", _mounts),
    ("devices", _devices),
    ("tmpfs", _tmpfs),
    ("resource-limits", _limits),
    ("fork", _fork),
)
