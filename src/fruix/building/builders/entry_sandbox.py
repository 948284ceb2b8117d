"""A sandbox for what is no build: code of the daemon's, or a program of the operator's, that fetches.

It runs as a build user, sees no store, and can write to one directory. What it leaves there is read
when all of it is dead. Cost: some 10 to 100 ms, most of it for the network.
"""

from __future__ import annotations

import os
import select
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fruix.building.builders.sandbox_spec import entry_spec
from fruix.building.limits import Limits
from fruix.building.resources import Resources
from fruix.building.settings import BuildSettings
from fruix.building.workspace import Workspace, noted_workspace
from fruix.dataclass import replace
from fruix.errors import FruixError
from fruix.model.build_options import BuildOptions
from fruix.model.storepath import StorePath
from fruix.sandbox import Bind, Entry, File, SandboxSpec
from fruix.sandbox.network_choice import choose_some
from fruix.store.tree.interruption import check_interrupt

# Seconds without a word from the sandbox, which tells of every piece that arrives.
PATIENCE = 300.0
_POLL = 0.2
_CHUNK = 1 << 18
_LONGEST_LINE = 1 << 16
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
OnLine = Callable[[bytes], None]


def network_of_servers(settings: BuildSettings) -> str:
    """How servers of binary caches are reached.

    Raises:
        IsolationUnavailableError: there is no way.
    """
    return choose_some(
        settings.fixed_output_network,
        "downloads are switched off, and so are binary caches of servers",
        "name caches of this machine only (file://)",
    )


@contextmanager
def run_entry(
    path: StorePath,
    program: Entry,
    resources: Resources,
    network: str,
    binds: tuple[Bind, ...] = (),
    files: tuple[File, ...] = (),
    *,
    on_line: OnLine,
) -> Iterator[tuple[Workspace, str]]:
    """Run an entry point to its end.

    Args:
        path: what it is for, or a name of that form.
        program: what is run.
        resources: what builds share.
        network: how it is connected.
        binds: what it can read besides.
        files: the same, made from bytes.
        on_line: told of each line that it prints, without its end.

    Yields:
        Its workspace, which is deleted afterwards, and how it failed, or nothing.
    """
    settings = resources.settings
    limits = Limits.of(BuildOptions(), settings)
    with (
        resources.users.acquire(_interrupted) as user,
        noted_workspace(path, user.uid, resources) as area,
    ):
        spec = entry_spec(area, user, program, network, binds, limits)
        spec = replace(spec, files=(*spec.files, *files), loopback_ports=settings.loopback_ports)
        yield area, _supervise(spec, resources, on_line)


def _interrupted() -> bool:
    check_interrupt()
    return False


def _supervise(spec: SandboxSpec, resources: Resources, on_line: OnLine) -> str:
    output, inner = os.pipe2(os.O_CLOEXEC)
    try:
        os.set_blocking(output, False)
        try:
            child = resources.spawner.spawn(spec, inner)
        finally:
            os.close(inner)
        try:
            stalled = not _listen(child.ended, output, on_line)
        finally:
            exited = child.finish()
    finally:
        os.close(output)
    if stalled:
        return f"nothing has come for {PATIENCE:.0f} seconds"
    if exited.signal is not None:
        return f"it was ended by signal {exited.signal}"
    return "" if exited.code == 0 else f"it ended with status {exited.code}"


def _listen(ended: int, output: int, on_line: OnLine) -> bool:
    """Follow the sandbox's words until it ends; False when it has said nothing for too long.

    What is longer than a line may be is told in pieces.
    """
    poller = select.poll()
    poller.register(ended, select.POLLIN)
    poller.register(output, select.POLLIN)
    heard, partial = time.monotonic(), b""
    while time.monotonic() - heard < PATIENCE:
        check_interrupt()
        ready = {descriptor for descriptor, _ in poller.poll(_POLL * 1000)}
        if output in ready:
            if chunk := os.read(output, _CHUNK):
                heard = time.monotonic()
                *lines, partial = (partial + chunk).split(b"\n")
                if len(partial) > _LONGEST_LINE:
                    lines, partial = [*lines, partial], b""
                for line in lines:
                    on_line(line)
            else:
                poller.unregister(output)
        elif ended in ready:
            if partial:
                on_line(partial)
            return True
    return False


@contextmanager
def opened(name: str) -> Iterator[int]:
    """A plain file that the build user made; links aren't followed, pipes not waited for.

    Raises:
        FruixError: it is something else.
    """
    try:
        descriptor = os.open(name, _READ)
    except OSError as error:
        raise FruixError(f"the sandbox has left nothing to read: {error.strerror}") from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise FruixError("the sandbox has left no plain file")
        yield descriptor
    finally:
        os.close(descriptor)
