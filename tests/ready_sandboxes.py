"""A spawner that may have a sandbox ready, for tests of what stands ready."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fruix.dataclass import replace
from fruix.sandbox import Bind, Exec, Exit, File, SandboxHandle, SandboxSpec, Spawner, Tmpfs
from fruix.sandbox.linux.cgroup import CgroupParent
from fruix.sandbox.linux.processes import is_elsewhere
from fruix.sandbox.spawner.client import ParkingHandle
from fruix.sandbox.spawner.ipc import ParkRequest
from machine import identity, own_mounts
from seen_processes import children_of, descriptors_of, state_of
from waiting import until

NAME = "frx-parked-test"
LOOK = """
grep -E -e '^(Sig|Shd|Cap|Uid|Gid|Groups|NoNew|Seccomp|Umask|Cpus|Mems|NSpid|NSsid)' /proc/self/status
cat /proc/self/limits /proc/self/cgroup /proc/keys /proc/net/dev /proc/net/if_inet6
cat /proc/self/oom_score_adj /proc/self/coredump_filter /proc/self/personality
hostname; domainname; umask; pwd; env; id
cut -d' ' -f4- /proc/self/mountinfo
ls -lan / /dev /etc /proc/self/fd /build
cat /etc/*
"""


class Here:
    """A spawner, what it may have ready, and a directory for roots."""

    def __init__(self, spawner: Spawner, directory: Path) -> None:
        self.spawner = spawner
        self.directory = directory
        self.log = directory / "log"
        self.request = ParkRequest(NAME, str(directory / "parked"))
        self.handle: ParkingHandle | None = None

    def park(self, fault: str = "") -> int:
        """Have one ready; its process, or 0 if there is a fault."""
        request = replace(self.request, fault=fault)
        if self.handle is None:
            self.handle = self.spawner.park(request)
        else:
            self.handle.prepare(request)
        return 0 if fault else self.ready()

    def children(self) -> list[int]:
        """Sandboxes; the process that they are cloned from has no process namespace of its own."""
        return [pid for pid in children_of(self.spawner.pid) if is_elsewhere(pid)]

    def ready(self) -> int:
        """The process that waits: it has closed all but its own."""

        def waits() -> int | None:
            alone = [pid for pid in self.children() if len(descriptors_of(pid)) == 5]
            return next((pid for pid in alone if state_of(pid) == "S"), None)

        return until(waits, "a sandbox that stands ready")

    def spawn(self, spec: SandboxSpec) -> SandboxHandle:
        with open(self.log, "wb") as log:
            return self.spawner.spawn(spec, log.fileno())

    def run(self, spec: SandboxSpec) -> tuple[int, Exit, str]:
        """Its first process, how it ended, and what it said."""
        handle = self.spawn(spec)
        ended = handle.wait(None)
        handle.finish()
        assert ended is not None
        return handle.pid, ended, self.log.read_text(errors="replace")

    def close(self) -> None:
        if self.handle is not None:
            self.handle.finish()
            self.handle = None


def groups() -> list[str]:
    parent = CgroupParent.find()
    return [] if parent is None else [name for name in os.listdir(parent.path) if name.startswith(NAME)]


@contextmanager
def spawning(tmp_path: Path, programs: Path) -> Iterator[Here]:
    own_mounts()
    tmp_path.chmod(0o755)
    for name in ("parked", "root", "build"):
        (tmp_path / name).mkdir()
    (tmp_path / "build").chmod(0o777)
    shutil.copytree(programs, tmp_path / "bin", symlinks=True)
    spawner = Spawner.start()
    one = Here(spawner, tmp_path)
    try:
        yield one
        one.close()
        assert children_of(spawner.pid) == []
        assert groups() == []
        assert os.listdir(tmp_path / "parked") == []
    finally:
        spawner.close()


def spec(here: Here, script: str = LOOK) -> SandboxSpec:
    directory = here.directory
    return SandboxSpec(
        "frx-test-of-parked",
        str(directory / "root"),
        identity(35009),
        Exec("/bin/sh", ("sh", "-c", script), {"PATH": "/bin", "A": "ü"}, "/build"),
        binds=(Bind(f"{directory}/bin", "/bin"), Bind(f"{directory}/build", "/build", writable=True)),
        files=(File("/etc/hosts", b"127.0.0.1 here\n"), File("/etc/run", b"x", 0o555)),
        tmpfs=(Tmpfs("/memory", 1 << 20, 0o1777),),
        hostname="seen",
        limits={"nproc": (100, 200), "fsize": (1 << 20, 1 << 20)},
    )
