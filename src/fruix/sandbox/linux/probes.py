"""What the doctor tries on Linux: a table of what builds need, and of extras."""

from __future__ import annotations

import os
from functools import partial

from fruix.errors import IsolationUnavailableError
from fruix.sandbox import root_skeleton
from fruix.sandbox.capabilities import Probe, in_child
from fruix.sandbox.linux import cgroup, devices, landlock, libc, mounts, network, seccomp, slirp, userns
from fruix.sandbox.process_defaults import unreachable_limits

_USERNS_REMEDY = (
    "allow user namespaces: sysctl user.max_user_namespaces (not 0), "
    "kernel.unprivileged_userns_clone=1 (older Debian), "
    "kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu)"
)
_CONTAINER_REMEDY = (
    "run on the machine itself, or in a container that may make namespaces and mounts "
    "(CAP_SYS_ADMIN, unmasked /proc)"
)


def _kernel() -> str:
    release = os.uname().release
    numbers = tuple(int(part) for part in release.split("-")[0].split(".")[:2] if part.isdigit())
    if numbers < (5, 12):
        raise OSError(f"Linux {release} is too old")
    return f"Linux {release} on {os.uname().machine}"


def _power() -> str:
    """Root, or a user namespace in which to be it."""
    if os.geteuid() == 0:
        return "running as root"
    user = os.geteuid()
    subordinates = userns.find_subordinates()
    _become_root()
    builders = f"{subordinates.count} ids for builders" if subordinates else "one id for all builds"
    return f"user {user}, root of a user namespace, {builders}"


def _become_root() -> None:
    """Without root the probes that follow are those of the mode without root: in a user namespace."""
    if os.geteuid() != 0:
        try:
            userns.become_root(subordinates=userns.find_subordinates())
        except IsolationUnavailableError as error:
            raise OSError(f"{error.missing} ({error.hint})") from error


def _namespaces() -> str:
    _become_root()
    libc.unshare(
        libc.CLONE_NEWNS | libc.CLONE_NEWPID | libc.CLONE_NEWIPC | libc.CLONE_NEWUTS | libc.CLONE_NEWNET
    )
    return "mount, process, IPC, host name and network namespaces"


def _user_namespaces() -> str:
    _become_root()
    libc.unshare(libc.CLONE_NEWUSER)
    return "other ids inside, for derivations of Guix and Nix clients"


def _mounts() -> str:
    """A tmpfs, a bind in it, and the recursive attribute change."""
    _become_root()
    libc.unshare(libc.CLONE_NEWNS)
    mounts.stop_propagation()
    mounts.new_root("/tmp")  # noqa: S108 - in a mount namespace of its own
    root_skeleton.make_directories(["/dev/pts", "/etc"])
    libc.mount(b"/etc", b"./etc", None, libc.MS_BIND | libc.MS_REC)
    mounts.seal()
    try:
        os.close(os.open("./x", os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC))
    except OSError:
        libc.mount(b"devpts", b"./dev/pts", b"devpts", libc.MS_NOSUID, b"newinstance,ptmxmode=0666")
        return "tmpfs, read-only binds, mount_setattr, devpts"
    raise OSError("mount_setattr did not make the tree read-only")


def _proc() -> str:
    """/proc needs a process inside a fresh process namespace."""
    _become_root()
    libc.unshare(libc.CLONE_NEWNS | libc.CLONE_NEWPID)
    mounts.stop_propagation()
    return in_child(_mount_proc)


def _mount_proc() -> str:
    libc.mount(b"proc", b"/proc", b"proc", libc.MS_NOSUID | libc.MS_NODEV | libc.MS_NOEXEC)
    return "a process file system of its own"


def _devices() -> str:
    """Look for the devices that builds are shown; make those that the host lacks, as for a build."""
    if not (lacking := devices.lacking()):
        return f"{' '.join(sorted(devices.DEVICES))} are there"
    _become_root()
    libc.unshare(libc.CLONE_NEWNS)
    mounts.stop_propagation()
    mounts.new_root("/tmp")  # noqa: S108 - in a mount namespace of its own
    root_skeleton.make_directories(f"/{path}" for path in devices.DIRECTORIES)
    devices.make_mount_points()
    return f"made for each build, as this host lacks them: {' '.join(lacking)}"


def _loopback() -> str:
    _become_root()
    libc.unshare(libc.CLONE_NEWNET)
    network.loopback_up()
    return "127.0.0.1 and ::1 of its own"


def _filter() -> str:
    libc.prctl(libc.PR_SET_NO_NEW_PRIVS, 1)
    program = seccomp.build_filter()
    seccomp.load(program)
    return f"{len(program) // 8} instructions"


def _landlock() -> str:
    version = landlock.abi()
    libc.prctl(libc.PR_SET_NO_NEW_PRIVS, 1)
    if not landlock.scope():
        raise OSError(f"Landlock version {version}, scoping needs 6")
    return f"Landlock version {version}, scoping"


def _helper(way: str) -> str:
    """A program that gives builds a network namespace of their own; found, not tried."""
    if reason := slirp.lacking(way):
        raise OSError(reason)
    return "fixed-output builds and downloads get a network namespace of their own"


def _pidfd() -> str:
    os.close(os.pidfd_open(os.getpid()))
    return "processes are killed by descriptor"


def _close_range() -> str:
    libc.close_on_exec_from(1 << 20)
    return "descriptors are closed by range"


def _cgroup() -> str:
    parent = cgroup.CgroupParent.find()
    if parent is None:
        raise OSError("no writable v2 hierarchy")
    return parent.path


def _controllers() -> str:
    parent = cgroup.CgroupParent.find()
    if parent is None:
        raise OSError("no writable v2 hierarchy")
    group = parent.create(f"frx-doctor-{os.getpid()}")
    try:
        missing = group.set_limits(memory_max=1 << 30, pids_max=100)
    finally:
        group.remove()
    if missing:
        raise OSError(f"not offered by the controllers: {', '.join(missing)}")
    return "memory.max and pids.max"


def _limits() -> str:
    if lower := unreachable_limits():
        raise OSError(f"lower than builders should have, and may not be raised: {', '.join(lower)}")
    return "builders get the same resource limits whatever the daemon was started with"


PROBES: tuple[Probe, ...] = (
    Probe("kernel", _kernel, "use Linux 5.12 or later", in_child=False),
    Probe("power", _power, _USERNS_REMEDY),
    Probe("namespaces", _namespaces, _CONTAINER_REMEDY),
    Probe("mounts", _mounts, _CONTAINER_REMEDY),
    Probe("proc", _proc, _CONTAINER_REMEDY),
    Probe(
        "devices",
        _devices,
        "give the host (the container) these device nodes, or the right to make them (CAP_MKNOD)",
    ),
    Probe("loopback", _loopback, _CONTAINER_REMEDY),
    Probe("seccomp", _filter, "use a kernel with CONFIG_SECCOMP_FILTER, on x86_64 or aarch64"),
    Probe("pidfd", _pidfd, "use Linux 5.3 or later"),
    Probe("close_range", _close_range, "use Linux 5.11 or later"),
    Probe("user namespaces", _user_namespaces, _USERNS_REMEDY),
    Probe(
        "limits",
        _limits,
        "start the daemon with the right CAP_SYS_RESOURCE, or with hard limits as high (ulimit -H); "
        "its builders get what there is",
        needed=False,
    ),
    Probe(
        "landlock",
        _landlock,
        "use Linux 6.12 or later with Landlock enabled, if neither pasta nor slirp4netns can be had: "
        "without any of them there are no downloads",
        needed=False,
    ),
    *(
        Probe(
            way,
            partial(_helper, way),
            f"install {package}, and see that this user may open {slirp.TUN}",
            needed=False,
            in_child=False,
        )
        for way, package in (("pasta", "pasta (Debian's package 'passt')"), ("slirp4netns", "slirp4netns"))
    ),
    Probe(
        "cgroup",
        _cgroup,
        "mount cgroup2 and delegate a group to the daemon (systemd: Delegate=yes)",
        needed=False,
    ),
    Probe(
        "cgroup limits",
        _controllers,
        "offer the memory and pids controllers in the v2 hierarchy",
        needed=False,
    ),
)
