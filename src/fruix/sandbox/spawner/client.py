"""The daemon's side of the spawner: start it first thing, then ask it for sandboxes from any thread.

A big or threaded process never forks: forking costs what it has resident, and locks of other threads would be copied held.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import json
import os
import select
import socket
import tempfile
import threading
from dataclasses import replace
from typing import IO, Any, NoReturn

from fruix import failpoints
from fruix.errors import SandboxError, StillRunningError
from fruix.sandbox.back_ends import Exit
from fruix.sandbox.spec import SandboxSpec

_DYING = 2.0  # seconds until surely all sockets of a killed process are closed
_MESSAGE_SIZE = 1 << 16
_GONE = frozenset({errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN})
CLEAN_UP = "clean-up"  # the step of a failure after which something is left


class Child:
    """One running sandbox. Used by one thread.

    Attributes:
        pid: of a process of it, on the host.
    """

    def __init__(self, control: socket.socket, pid: int) -> None:
        self.pid = pid
        self._control = control
        self._exit: Exit | None = None

    @property
    def ended(self) -> int:
        """A descriptor that is readable once everything of it is dead and unmounted: `wait` then knows how it ended."""
        return self._control.fileno()

    def wait(self, timeout: float | None = None) -> Exit | None:
        """How it ended, or None if it still runs after `timeout` seconds.

        Raises:
            StillRunningError: something of it can't be ended or unmounted, or the spawner has gone.
        """
        if self._exit is None and _readable(self._control, timeout):
            message = _receive(self._control)
            if "exit" not in message:
                raise _still_running("wait", message)
            self._exit = Exit(**message["exit"])
        return self._exit

    def kill(self) -> None:
        """Kill everything in it; returns at once."""
        with contextlib.suppress(OSError):
            self._control.send(b"kill")

    def finish(self) -> Exit:
        """Kill what still runs, wait until everything is dead and nothing of it is left, and let go of it."""
        try:
            if self.wait(0) is None:
                self.kill()
            ended = self.wait(None)
            assert ended is not None
            return ended
        finally:
            self._control.close()


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
            StillRunningError: the spawner has gone.
        """
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            told = replace(spec, fault=spec.fault or failpoints.text())
            with _nameless_file(told.to_json()) as file, self._lock:
                socket.send_fds(self._requests, [b"spawn"], [theirs.fileno(), file.fileno(), log])
        except OSError as error:
            control.close()
            if error.errno in _GONE:
                raise _still_running("spawn", {}) from error
            raise SandboxError("spawn", error.errno or 0, "asking the spawner") from error
        finally:
            theirs.close()
        message = _receive(control)
        if "started" in message:
            failpoints.know("builder", message["started"])
            return Child(control, message["started"])
        control.close()
        failed = message.get("failed")
        # Of a process that is killed the kernel closes one socket after the other, in any order.
        if failed is None and not _readable(
            self._requests, _DYING
        ):  # it lives, but couldn't take our descriptors
            raise SandboxError("spawn", errno.EMFILE, "in the spawner", hint="raise the limit on open files")
        if failed is None or failed["step"] == CLEAN_UP:
            raise _still_running("spawn", message)
        raise SandboxError(failed["step"], failed["errno"], failed["detail"])

    def fileno(self) -> int:
        """Of the socket to the spawner: readable when it has gone."""
        return self._requests.fileno()

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


def _nameless_file(data: bytes) -> IO[bytes]:
    """A file that only its descriptor leads to, at its beginning: in memory where the system has that."""
    if hasattr(os, "memfd_create"):
        file: IO[bytes] = open(os.memfd_create("specification"), "w+b")  # noqa: SIM115 - the caller closes it
    else:
        file = tempfile.TemporaryFile()  # noqa: SIM115
    file.write(data)
    file.seek(0)  # which writes it out
    return file


def _readable(control: socket.socket, timeout: float | None) -> bool:
    poller = select.poll()  # not select(), which only knows descriptors below 1024
    poller.register(control, select.POLLIN)
    return bool(poller.poll(None if timeout is None else timeout * 1000))


def _receive(control: socket.socket) -> dict[str, Any]:
    try:
        data = control.recv(_MESSAGE_SIZE)
    except ConnectionResetError:
        # The spawner closed its end before it read our last "kill"; what it had to say is still there.
        data = control.recv(_MESSAGE_SIZE)
    return json.loads(data) if data else {}


def _still_running(step: str, message: dict[str, Any]) -> StillRunningError:
    """What the spawner said, or that it says nothing any more."""
    failed = message.get("failed") or {"step": step, "errno": 0, "detail": "the spawner has gone"}
    return StillRunningError(
        failed["step"],
        failed["errno"],
        failed["detail"],
        hint="the daemon's next start cleans up: then build again",
    )


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
        from fruix.sandbox.spawner.server import main  # noqa: PLC0415 - the daemon never needs it

        with socket.socket(fileno=keep) as requests:
            main(requests)
        code = 0
    finally:
        os._exit(code)
