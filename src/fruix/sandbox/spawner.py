"""The daemon's side of the spawner: start it first thing, then ask it for sandboxes from any thread.

A big or threaded process never forks: forking costs what it has resident, and locks of other threads would be copied held.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import socket
import threading
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from fruix.errors import SandboxError
from fruix.sandbox import faults
from fruix.sandbox.spec import SandboxSpec

_MESSAGE_SIZE = 1 << 16


@dataclass(frozen=True, slots=True)
class Exit:
    """How a program ended: `code`, or the `signal` that killed it; what it used."""

    code: int | None
    signal: int | None
    cpu_user_us: int
    cpu_system_us: int
    max_rss_kib: int


class Child:
    """One running sandbox. Used by one thread.

    Attributes:
        pid: of its first process, on the host.
        pidfd: readable once that process has ended.
    """

    def __init__(self, control: socket.socket, pid: int, pidfd: int) -> None:
        self.pid = pid
        self.pidfd = pidfd
        self._control = control
        self._exit: Exit | None = None

    def wait(self, timeout: float | None = None) -> Exit | None:
        """How it ended, or None if it still runs after `timeout` seconds.

        Raises:
            SandboxError: the spawner has gone.
        """
        if self._exit is None:
            ready, _, _ = select.select([self._control], [], [], timeout)
            if ready:
                message = _receive(self._control)[0]
                if "exit" not in message:
                    raise SandboxError("wait", 0, "the spawner has gone", hint="restart the daemon")
                self._exit = Exit(**message["exit"])
        return self._exit

    def kill(self) -> None:
        """Kill everything in it; returns at once."""
        with contextlib.suppress(OSError):
            self._control.send(b"kill")

    def finish(self) -> Exit:
        """Kill what still runs, wait until everything is dead and its cgroup is gone, and let go of it."""
        try:
            if not select.select([self.pidfd], [], [], 0)[0]:
                self.kill()
            ended = self.wait(None)
            assert ended is not None
            return ended
        finally:
            self._control.close()
            os.close(self.pidfd)


class Spawner:
    """Handle on the spawner process. Thread-safe."""

    def __init__(self, requests: socket.socket, pid: int) -> None:
        self.pid = pid
        self._requests = requests
        self._lock = threading.Lock()

    @classmethod
    def start(cls) -> Spawner:
        """Fork the spawner. Call before any thread runs and before anything secret is in memory."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pid = os.fork()
        if pid == 0:
            _become_spawner(ours, theirs)
        theirs.close()
        return cls(ours, pid)

    def spawn(self, spec: SandboxSpec, log: int) -> Child:
        """Run `spec`, output to the descriptor `log`.

        Raises:
            SandboxError: a step of the setup failed, nothing runs.
        """
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        memory = os.memfd_create("specification")
        try:
            os.write(memory, replace(spec, fault=spec.fault or faults.text()).to_json())
            os.lseek(memory, 0, os.SEEK_SET)
            with self._lock:
                socket.send_fds(self._requests, [b"spawn"], [memory, log, theirs.fileno()])
        except OSError as error:
            control.close()
            raise SandboxError(
                "spawn", error.errno or 0, "the spawner has gone", hint="restart the daemon"
            ) from error
        finally:
            os.close(memory)
            theirs.close()
        message, descriptors = _receive(control)
        if "started" in message:
            faults.know("builder", message["started"])
            return Child(control, message["started"], descriptors[0])
        control.close()
        failed = message.get("failed") or {"step": "spawn", "errno": 0, "detail": "the spawner has gone"}
        raise SandboxError(failed["step"], failed["errno"], failed["detail"])

    def close(self) -> None:
        """End the spawner; it kills what still runs first."""
        self._requests.close()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)

    def alive(self) -> bool:
        """Whether the spawner still runs."""
        with contextlib.suppress(ChildProcessError):
            return os.waitpid(self.pid, os.WNOHANG) == (0, 0)
        return False


def _receive(control: socket.socket) -> tuple[dict[str, Any], list[int]]:
    try:
        data, descriptors, _, _ = socket.recv_fds(control, _MESSAGE_SIZE, 1)
    except ConnectionResetError:
        # The spawner closed its end before it read our last "kill"; what it had to say is still there.
        data, descriptors, _, _ = socket.recv_fds(control, _MESSAGE_SIZE, 1)
    return (json.loads(data) if data else {}), descriptors


def _become_spawner(ours: socket.socket, theirs: socket.socket) -> NoReturn:
    """In the forked process: keep the socket and the standard descriptors, drop the rest."""
    code = 1
    try:
        ours.close()
        keep = os.dup2(theirs.fileno(), 3) if theirs.fileno() != 3 else 3
        os.set_inheritable(keep, False)
        os.closerange(4, os.sysconf("SC_OPEN_MAX"))
        theirs.detach()
        gc.freeze()
        from fruix.sandbox.spawner_process import main  # noqa: PLC0415 - the daemon never needs it

        main(socket.socket(fileno=keep))
        code = 0
    finally:
        os._exit(code)
