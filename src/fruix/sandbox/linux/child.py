"""From a forked process to a builder: the ordered steps, as a table.

The child is root in fresh namespaces and does nothing before the parent has released it. Every step
that fails ends the attempt: the status pipe says which one and why, and no builder runs in a
sandbox that is only partly set up. The pipe is closed by a successful exec, which is how the parent
learns of it. The first steps say nothing of a build: they can be taken before there is one (`parked`).

The builder is process 1 of its namespace, as with both peers: when it ends, the kernel kills all
others and its exit is seen only after they are gone. (It also means that it gets no default signal
actions and that orphans become its children.)
"""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable, Collection
from typing import NoReturn

from fruix.dataclass import dataclass
from fruix.sandbox import root_skeleton
from fruix.sandbox.child_common import (
    SETUP_FAILED,
    EntryPoint,
    load_entry,
    run_entry,
    take_steps,
    take_terminal,
)
from fruix.sandbox.linux import (
    devices,
    identity,
    inherited,
    landlock,
    libc,
    mounts,
    network,
    seccomp,
    slirp,
    socketcall,
)
from fruix.sandbox.networks import HOST, NONE, OWN
from fruix.sandbox.process_defaults import default_signals, set_limits
from fruix.sandbox.spec import Exec, SandboxSpec


@dataclass(slots=True)
class ChildState:
    """What the steps need, and what they find out for later ones.

    Attributes:
        log: takes both outputs; the inner end of a terminal pair if the specification asks for one.
        status: the pipe that says which step failed.
        filter: the program of the system call filter.
        last_capability: of this kernel.
        uplink: leads to the helper that connects the network; None where the network is another.
        sockets: leads to who answers for `socketcall`; -1: nobody.
        entry: what runs in the place of a program.
        nodes: names of devices that were made.
    """

    spec: SandboxSpec
    log: int
    status: int
    filter: bytes
    last_capability: int
    uplink: slirp.Pipes | None = None
    sockets: int = -1
    entry: EntryPoint | None = None
    nodes: Collection[str] = ()


def namespaces(spec: SandboxSpec) -> int:
    """The clone flags for a sandbox."""
    flags = libc.CLONE_NEWNS | libc.CLONE_NEWPID | libc.CLONE_NEWIPC | libc.CLONE_NEWUTS
    # A network of its own with an uplink has to belong to the build user's own user namespace,
    # which comes later.
    return flags | libc.CLONE_NEWNET if spec.network == NONE else flags


def run(child: ChildState, release: int) -> NoReturn:
    """Wait for the release, take the steps, run the program. Never returns."""

    def wait_for_release(child: ChildState) -> None:
        # Before the parent is heard of: should it die any time after its word, the kernel ends this process.
        die_with_parent(child)
        if os.read(release, 1) != b"x":
            os._exit(SETUP_FAILED)  # the parent died
        os.close(release)

    take_steps(child, STEPS, wait_for_release)


# The steps, in order. Each takes the ChildState.


def _session(_child: ChildState) -> None:
    """Begin a session without terminal; nothing is left of how the daemon was started."""
    os.setsid()
    default_signals()
    inherited.forget()


def _outputs(child: ChildState) -> None:
    """Both outputs go to the log; a terminal becomes the session's."""
    if child.spec.terminal:
        take_terminal(child.log)
        os.dup2(child.log, 0)
    os.dup2(child.log, 1)
    os.dup2(child.log, 2)


def die_with_parent(child: ChildState) -> None:
    """Have the kernel kill this process when its parent dies; end at once if it has died already.

    Then nobody reads the status pipe any more.
    """
    libc.prctl(libc.PR_SET_PDEATHSIG, signal.SIGKILL)
    poller = select.poll()
    poller.register(child.status, 0)
    if poller.poll(0):
        os._exit(SETUP_FAILED)


def _load_entry(child: ChildState) -> None:
    """The function that runs in the place of a program; imported while there are files to import from."""
    child.entry = load_entry(child.spec)


def _propagation(_child: ChildState) -> None:
    mounts.stop_propagation()


def _root(child: ChildState) -> None:
    mounts.new_root(child.spec.root)


def _skeleton(child: ChildState) -> None:
    """What every root has."""
    # In a file system that is empty and nobody else's.
    for path in ("dev", *devices.DIRECTORIES, "proc", "etc"):
        os.mkdir(path, 0o755)
    for link in devices.LINKS:
        os.symlink(link.target, link.path)
    child.nodes = devices.make_mount_points()


def _files(child: ChildState) -> None:
    """Everything else that must exist before the root is sealed."""
    root_skeleton.make_directories(mount.path for mount in child.spec.tmpfs)
    devices.make_files(child.spec.devices)
    root_skeleton.make_files(child.spec.files)


def _binds(child: ChildState) -> None:
    mounts.bind_all(child.spec.binds)
    mounts.hide_all(child.spec.hidden, "/proc")  # on which nothing is mounted yet
    root_skeleton.make_links(child.spec.links)


def _seal(child: ChildState) -> None:
    mounts.seal()
    mounts.open_writable(child.spec.binds)
    if not child.spec.sealed_root:
        mounts.open_root()


def _devices(child: ChildState) -> None:
    devices.bind_devices(child.spec.devices, child.nodes)
    devices.mount_pts_and_shm()


def _tmpfs(child: ChildState) -> None:
    mounts.mount_tmpfs(child.spec.tmpfs)


def _loopback(child: ChildState) -> None:
    if child.spec.network == NONE:
        network.loopback_up()


def _names(child: ChildState) -> None:
    libc.sethostname(child.spec.hostname.encode())
    libc.setdomainname(child.spec.domainname.encode())


def _proc(_child: ChildState) -> None:
    mounts.mount_proc()


def _switch(child: ChildState) -> None:
    """The sandbox's own root, and its own /dev/null as standard input."""
    mounts.switch_root()
    if not child.spec.terminal:
        os.dup2(os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC), 0)


def _limits(child: ChildState) -> None:
    set_limits(child.spec.limits)
    os.umask(0o022)


def _cgroup_namespace(_child: ChildState) -> None:
    libc.unshare(libc.CLONE_NEWCGROUP)


def _user_namespace(child: ChildState) -> None:
    if child.spec.identity.user_namespace:
        identity.enter_namespace(child.spec.identity, libc.CLONE_NEWNET if child.spec.network in OWN else 0)
        die_with_parent(child)  # a change of ids has cleared it


def _uplink(child: ChildState) -> None:
    if child.uplink is not None:
        network.loopback_up()
        slirp.wait(child.uplink, slirp.opened_ports(child.spec))


def _drop(child: ChildState) -> None:
    identity.drop(child.spec.identity, child.last_capability)
    die_with_parent(child)  # a change of ids has cleared it


def _no_new_privileges(_child: ChildState) -> None:
    libc.prctl(libc.PR_SET_NO_NEW_PRIVS, 1)


def _landlock(child: ChildState) -> None:
    if not landlock.scope() and child.spec.network == HOST:
        raise OSError(38, "sharing the host's network needs Landlock scoping (Linux 6.12)")


def _personality(child: ChildState) -> None:
    """Addresses that don't change from run to run, and 32 bits if the system says so."""
    libc.personality(
        libc.ADDR_NO_RANDOMIZE | (libc.PER_LINUX32 if child.spec.personality == "linux32" else 0)
    )


def _filter(child: ChildState) -> None:
    if child.sockets >= 0:
        socketcall.load_filter(child.sockets)
    else:
        seccomp.load(child.filter)


def _program(child: ChildState) -> None:
    program = child.spec.program
    if isinstance(program, Exec):
        libc.close_on_exec_from(3)
        os.chdir(program.directory)
        os.execve(program.path, list(program.argv), dict(program.environment))  # noqa: S606 - a list, no shell
    assert child.entry is not None
    libc.close_from(3)  # the status pipe too: the parent sees its end
    run_entry(child.entry, program.arguments)


Step = tuple[str, Callable[[ChildState], None]]
EARLY_STEPS: tuple[Step, ...] = (
    ("session", _session),
    ("load-entry", _load_entry),
    ("propagation", _propagation),
    ("root", _root),
    ("skeleton", _skeleton),
    ("loopback", _loopback),
    ("cgroup-namespace", _cgroup_namespace),  # by a process that is in the build's cgroup
)
"""Those that need no more of a specification than its root; without an entry or another network."""
STEPS: tuple[Step, ...] = (
    *EARLY_STEPS,
    ("outputs", _outputs),
    ("files", _files),
    ("binds", _binds),
    ("seal", _seal),  # after the binds, before devices and writable areas
    ("devices", _devices),
    ("tmpfs", _tmpfs),
    ("names", _names),
    ("proc", _proc),  # by a process inside the process namespace
    ("switch-root", _switch),
    ("user-namespace", _user_namespace),  # after all mounts
    # The number of processes counts by user, over all builds that share one; set in a namespace of
    # its own it counts those in it.
    ("limits", _limits),
    ("uplink", _uplink),
    ("drop", _drop),  # the bounding set first, it needs a capability; ids last
    ("no-new-privileges", _no_new_privileges),
    ("personality", _personality),
    ("landlock", _landlock),
    ("filter", _filter),  # needs no-new-privileges, and nothing that it forbids may come after it
    ("exec", _program),
)
