"""`fruix doctor --try`: one sandbox step by step on this FreeBSD.

Each system call is printed with its result, errno and message, and everything is undone in the end.

The steps are the back end's own, in their order (docs/freebsd.md), run on a scratch directory with
a small program of Fruix in the jail. Before them come calls that must fail, as a real 13.2 kernel
failed them. Nothing of a store or of running builds is touched.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from fruix import failpoints
from fruix.building.workspace import Workspace, workspace
from fruix.dataclass import replace
from fruix.errors import UsageError
from fruix.sandbox.back_ends import current
from fruix.sandbox.build_users import UserLocks, UserPool, machine_directory
from fruix.sandbox.contracts import CONTRACTS
from fruix.sandbox.freebsd import abi, jail, mounts
from fruix.sandbox.freebsd.abi import Pair, flag, text
from fruix.sandbox.freebsd.back_end import FreeBSDBackEnd
from fruix.sandbox.freebsd.kernel import Kernel, KernelError
from fruix.sandbox.journal import Journal, JournalEntry
from fruix.sandbox.spawner.ipc import Failed, decode
from fruix.sandbox.spec import Bind, Entry, Exec, SandboxSpec, Tmpfs
from fruix.testing.traced import Traced, say

# FreeBSD's own, and one that runs by itself where only the double does.
_SHELLS = ("/bin/sh", "/usr/bin/busybox")
UIDS = range(35001, 35033)
# Directories of the base system that are shown, where they are (and are no links).
SHOWN = ("/bin", "/lib", "/libexec", "/usr/bin", "/usr/lib")
_PROGRAM = "fruix.testing.trial:inside"
_SUCCESS = "success"


def trial() -> list[str]:
    """Run it; returns what failed, a line each.

    Raises:
        UsageError: this is no FreeBSD, or not root.
    """
    back_end = current()
    if not isinstance(back_end, FreeBSDBackEnd):
        raise UsageError(
            "--try is for FreeBSD: "
            "here, 'fruix doctor' tries every call already, in children that are thrown away"
        )
    if os.geteuid() != 0:
        raise UsageError("only root can make jails", hint="run it as root")
    kernel = Traced(back_end.kernel)
    begun = time.monotonic()

    def tell(step: str) -> None:
        say(f"  -- {step} (at {(time.monotonic() - begun) * 1000:.0f} ms)")

    failed: list[str] = []
    with tempfile.TemporaryDirectory(prefix="fruix-try-") as directory, contextlib.ExitStack() as undo:
        failpoints.watch(tell)
        undo.callback(failpoints.watch, None)
        builds = os.path.realpath(directory)
        say("calls that must fail, and some that must not")
        failed += _must_fail(kernel, builds)
        try:
            failed += _steps(FreeBSDBackEnd(kernel), builds)
        except OSError as error:
            failed.append(f"{errno.errorcode.get(error.errno or 0, 'no errno')}: {error}")
        left = mounts.below(back_end.kernel.getfsstat(), builds)
        failed += [f"still mounted: {os.fsdecode(row.target)}" for row in left]
        failed += [
            f"jail {found.name} is still there"
            for found in jail.running(back_end.kernel)
            if found.path.startswith(builds)
        ]
    return failed


def _must_fail(kernel: Kernel, directory: str) -> Iterator[str]:
    """Call by call, what is expected of each; a line for each that went otherwise."""
    path, name = text("path", directory.encode()), text("name", b"frx-try")
    source, target = f"{directory}/source", f"{directory}/target"
    for made in (source, target):
        os.mkdir(made)

    def show(source: str, target: str) -> Callable[[], object]:
        options = [*mounts.nullfs(source, target), abi.buffer("errmsg", abi.MOUNT_ERRMSG_SIZE)]
        return lambda: kernel.nmount(options, abi.MNT_NOSUID)

    def set_(*pairs: Pair) -> Callable[[], object]:
        return lambda: kernel.jail_set(
            [path, name, *pairs, abi.buffer("errmsg", abi.JAIL_ERRMSG_SIZE)], abi.JAIL_CREATE
        )

    get = [text("name", b"frx-none"), abi.buffer("errmsg", abi.JAIL_ERRMSG_SIZE)]
    bogus = [*mounts.tmpfs(directory, 0, 0o755), flag("bogus"), abi.buffer("errmsg", abi.MOUNT_ERRMSG_SIZE)]
    cases: tuple[tuple[str, str, Callable[[], object]], ...] = (
        ("a jail that neither persists nor is entered", "EINVAL", set_()),
        ("an unknown parameter", "EINVAL", set_(flag("persist"), flag("foo.bar"))),
        ("a value of one byte", "EINVAL", set_(flag("persist"), (b"devfs_ruleset\0", b"\1"))),
        ("a jail that isn't there", "ENOENT", lambda: kernel.jail_get(get, 0)),
        ("nullfs of a directory onto itself", _SUCCESS, show(source, source)),
        ("its unmount", _SUCCESS, lambda: kernel.unmount(source.encode(), 0)),
        ("nullfs of a directory", _SUCCESS, show(source, target)),
        ("the same once more", "EDEADLK", show(source, target)),
        ("its unmount", _SUCCESS, lambda: kernel.unmount(target.encode(), 0)),
        ("an unknown mount option", "EINVAL", lambda: kernel.nmount(bogus, 0)),
        ("unmounting nothing", "EINVAL", lambda: kernel.unmount(directory.encode(), 0)),
    )
    for what, expected, call in cases:
        found = _errno_of(call)
        if found != getattr(errno, expected, 0):
            yield f"{what}: expected {expected}, got {errno.errorcode.get(found, _SUCCESS)}"
    mounts.unmount_below(kernel, directory)  # nothing, unless a mount succeeded that should have failed


def _errno_of(call: Callable[[], object]) -> int:
    """Make a call that should fail; the number of its error, 0 if it succeeded."""
    try:
        call()
    except KernelError as error:
        return error.errno or 0
    return 0


def _steps(back_end: FreeBSDBackEnd, builds: str) -> Iterator[str]:
    """The table of a build's steps, on one sandbox."""
    name = f"frx-try-{os.getpid()}"
    users = UserLocks(machine_directory(os.environ) or builds, "fruix doctor --try")
    os.mkdir(f"{builds}/input")
    say("1 a user that nobody else has")
    with UserPool(users, UIDS).acquire() as user:
        say(f"    user {user.uid}")
        say("2 a note in the journal")
        journal = Journal(f"{builds}/journal")
        journal.write(JournalEntry(name, user.uid))
        say("3 directories below a parent that only root can enter")
        with workspace(builds, name, user.uid, user.gid) as area:
            say("4 to 9: rules, supervisor, mounts, /dev, memory, limits, jail")
            spec = _spec(area, user.uid, builds)
            yield from _run(back_end, spec)
            say("13 what it left in the output area")
            yield from _check_output(area, user.uid)
            yield from _parked(back_end, spec)
        say("14 directories, note and user are gone")
        journal.forget(name)


def _spec(area: Workspace, uid: int, builds: str) -> SandboxSpec:
    contract = CONTRACTS["fruix"]
    identity = contract.identity(uid)
    shown = [path for path in SHOWN if os.path.isdir(path) and not os.path.islink(path)]
    return SandboxSpec(
        id=area.name,
        root=area.root,
        identity=identity,
        program=Entry(_PROGRAM, {"input": "/input", "output": "/out/result"}),
        binds=(
            *(Bind(path, path) for path in shown),
            Bind(f"{builds}/input", "/input"),
            Bind(area.store, "/out", writable=True),
            Bind(area.tmp, "/tmp", writable=True),  # noqa: S108 - the name inside
            Bind(area.build, "/build", writable=True),
        ),
        tmpfs=(Tmpfs("/memory", 1 << 20, 0o1777),),
        files=contract.files(identity),
        hostname=contract.hostname,
        memory_max=1 << 30,
        pids_max=100,
    )


def _parked(back_end: FreeBSDBackEnd, spec: SandboxSpec) -> Iterator[str]:
    """The likes of it once more, with a program: then a jail is parked for the next, which gets it."""
    shown = {bind.target for bind in spec.binds}
    shell = next((path for path in _SHELLS if os.path.dirname(path) in shown and os.path.isfile(path)), "")
    program = Exec(shell, ("sh", "-c", "exit 0"), {}, "/")
    say("a build like it that leaves a jail for the next")
    yield from _run(back_end, replace(spec, program=program))
    yield from () if back_end.is_parked else ("no jail could be parked: its reason is on the standard error",)
    say("a build in that jail")
    yield from _run(back_end, replace(spec, program=program))
    back_end.unpark()


def _run(back_end: FreeBSDBackEnd, spec: SandboxSpec) -> Iterator[str]:
    """Start, wait, finish; the program's output goes where the trace goes."""
    started = back_end.start(spec, 1)
    report = b""
    while chunk := os.read(started.status, 4096):
        report += chunk
    if report:
        failed = decode(report)
        assert isinstance(failed, Failed)
        number = errno.errorcode.get(failed.errno, "no errno")
        yield f"step {failed.step}: {number}: {os.strerror(failed.errno)}: {failed.detail}"
    poller = select.poll()
    poller.register(started.ended, select.POLLIN)
    poller.poll()
    say("10 to 11: the supervisor has killed and waited")
    ended = started.finish()
    say("12: what is mounted goes away")
    back_end.tidy(spec, parked=ended.parked)
    back_end.prepare_next()
    say(f"    exit code {ended.code}, signal {ended.signal}")
    if not report and ended.code != 0:
        how = ended.code if ended.signal is None else f"signal {ended.signal}"
        yield f"the program in the jail ended with {how}"


def _check_output(area: Workspace, uid: int) -> Iterator[str]:
    try:
        status = os.stat(f"{area.store}/result")
        with open(f"{area.store}/result", encoding="utf-8") as file:
            seen = file.read()
    except OSError as error:
        yield f"no output: {error}"
        return
    for line in seen.splitlines():
        say(f"    {line}")
    if (status.st_uid, status.st_gid) != (uid, uid):
        yield f"the output belongs to {status.st_uid}:{status.st_gid}, not to {uid}:{uid}"
    yield from (line for line in seen.splitlines() if line.startswith("WRONG"))


def inside(arguments: Mapping[str, Any]) -> int:
    """What runs in the jail: look around, write it down."""
    facts = [
        f"ids {os.getresuid()} {os.getresgid()} groups {os.getgroups()}",
        f"host {os.uname().nodename}, system {os.uname().sysname} {os.uname().release}",
        f"root holds {' '.join(sorted(os.listdir('/')))}",
        f"devices {' '.join(sorted(os.listdir('/dev')))}",
        _loopback(),
        *(_refused(path) for path in (arguments["input"], "/", "/etc", "/dev")),
    ]
    with open(arguments["output"], "w", encoding="utf-8") as file:
        file.write("\n".join(facts) + "\n")
    return 0


def _loopback() -> str:
    with contextlib.closing(socket.socket()) as listener:
        try:
            listener.bind(("127.0.0.1", 0))
        except OSError as error:
            return f"no loopback: {error}"
    return "loopback 127.0.0.1"


def _refused(directory: str) -> str:
    try:
        os.close(os.open(f"{directory}/probe", os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC))
    except OSError as error:
        return f"writing in {directory}: {errno.errorcode.get(error.errno or 0)}"
    return f"WRONG: {directory} can be written to"
