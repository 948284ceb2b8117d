"""The daemon's side of the spawner: start it first thing, then ask it for sandboxes from any thread.

A big or threaded process never forks: forking costs what it has resident, and locks of other
threads would be copied held.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import threading
from collections.abc import Callable
from typing import IO

from fruix import failpoints
from fruix.errors import SandboxError, StillRunningError
from fruix.sandbox.back_ends import Exit, current
from fruix.sandbox.spawner.forking import Forked
from fruix.sandbox.spawner.ipc import (
    KILL,
    LONGEST_REQUEST,
    SIZE,
    SPAWN,
    Answer,
    Failed,
    ParkRequest,
    Running,
    SpawnRequest,
    decode,
)
from fruix.sandbox.spec import SandboxSpec

_DYING = 2.0  # seconds until surely all sockets of a killed process are closed
_GONE = frozenset({errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN})


class SandboxHandle:
    """One running sandbox, as the daemon holds it. Used by one thread.

    Attributes:
        pid: of a process of it, on the host.
    """

    def __init__(self, control: socket.socket, pid: int, spec: SandboxSpec) -> None:
        self.pid = pid
        self._control = control
        self._spec = spec
        self._exit: Exit | None = None

    @property
    def ended(self) -> int:
        """A descriptor that is readable once everything of it is dead.

        `wait` then returns how it ended.
        """
        return self._control.fileno()

    def wait(self, timeout: float | None = None) -> Exit | None:
        """How it ended, or None if it still runs after `timeout` seconds.

        Raises:
            StillRunningError: something of it can't be ended, or the spawner has gone.
        """
        if self._exit is None and _readable(self._control, timeout):
            answer = _receive(self._control)
            if not isinstance(answer, Exit):
                raise _still_running("wait", answer)
            self._exit = answer
        return self._exit

    def kill(self) -> None:
        """Kill everything in it; returns at once."""
        with contextlib.suppress(OSError):
            self._control.send(KILL)

    def finish(self) -> Exit:
        """Kill what still runs, wait until everything is dead and nothing of it is left, and let go of it."""
        ended = self.end()
        self.tidy()
        return ended

    def end(self) -> Exit:
        """Kill what still runs, and wait until everything is dead: what it made can be taken.

        `tidy` has to follow, before anything is deleted.
        """
        try:
            if self.wait(0) is None:
                self.kill()
            ended = self.wait(None)
            assert ended is not None
            return ended
        finally:
            self._control.close()

    def tidy(self) -> None:
        """Take away what is left mounted of it.

        Raises:
            StillRunningError: something can't be unmounted.
        """
        if self._exit is None:  # `end` has failed: it is the next start's affair
            return
        _tidy(self._spec, parked=self._exit.parked)


class ParkingHandle:
    """What leads to the sandbox that stands ready. Used by one thread at a time."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control

    def prepare(self, request: ParkRequest) -> None:
        """Have one ready again, if it has been taken; returns at once."""
        with contextlib.suppress(OSError):  # whoever builds hears that the spawner has gone
            self._control.send(request.to_bytes())

    def finish(self) -> None:
        """End it, and what belonged to all that were it.

        Raises:
            StillRunningError: something is left, or the spawner has gone.
        """
        with self._control:
            with contextlib.suppress(OSError):
                self._control.send(KILL)
            answer = _receive(self._control)
        if not isinstance(answer, Exit):
            raise _still_running("unpark", answer)


class Spawner:
    """Handle on the spawner process. Thread-safe."""

    def __init__(self, process: Forked) -> None:
        """`process` is closed by `close`, or by whoever started it."""
        self.pid = process.pid
        self._process = process
        self._requests = process.requests
        self._lock = threading.Lock()

    @classmethod
    def start(cls) -> Spawner:
        """Fork the spawner; see `Forked.start`."""
        return cls(Forked.start())

    def spawn(
        self, spec: SandboxSpec, log: int, meanwhile: Callable[[], object] = lambda: None
    ) -> SandboxHandle:
        """Run `spec`, output to the descriptor `log`; `meanwhile` is called while it is set up.

        Raises:
            SandboxError: a step of the setup failed, nothing runs.
            StillRunningError: the spawner has gone, or something of the sandbox can't be ended or unmounted.
        """
        control, inner = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._send(SpawnRequest(spec, failpoints.text()).to_bytes(), [inner.fileno(), log])
        except OSError as error:
            control.close()
            if error.errno in _GONE:
                raise _still_running("spawn", None) from error
            raise SandboxError("spawn", error.errno or 0, "asking the spawner") from error
        finally:
            inner.close()
        try:
            meanwhile()
        except BaseException:
            if isinstance(answer := _receive(control), Running):
                SandboxHandle(control, answer.pid, spec).finish()
            control.close()
            raise
        answer = _receive(control)
        if isinstance(answer, Running):
            failpoints.know("builder", answer.pid)
            return SandboxHandle(control, answer.pid, spec)
        control.close()
        problem = self._why_not(answer)
        if not isinstance(problem, StillRunningError):
            _tidy(spec)
        raise problem

    def park(self, request: ParkRequest) -> ParkingHandle:
        """Have a sandbox ready for a build to come.

        Raises:
            OSError: the spawner can't be asked.
        """
        control, inner = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with inner:
            try:
                self._send(request.to_bytes(), [inner.fileno()])
            except OSError:
                control.close()
                raise
        return ParkingHandle(control)

    def _send(self, request: bytes, descriptors: list[int]) -> None:
        if len(request) <= LONGEST_REQUEST:
            with self._lock:
                socket.send_fds(self._requests, [request], descriptors)
            return
        with _nameless_file(request) as file, self._lock:
            socket.send_fds(self._requests, [SPAWN], [*descriptors, file.fileno()])

    def _why_not(self, answer: Answer | None) -> SandboxError:
        if isinstance(answer, Failed) and not answer.left:
            return SandboxError(answer.step, answer.errno, answer.detail)
        # Of a process that is killed the kernel closes one socket after the other, in any order.
        # One that lives and closed the control socket without a word had no room for the
        # descriptors.
        if answer is None and not _readable(self._requests, _DYING):
            hint = "raise the limit on open files"
            return SandboxError("spawn", errno.EMFILE, "in the spawner", hint=hint)
        return _still_running("spawn", answer)

    def close(self) -> None:
        """End the spawner; it kills what still runs first."""
        self._process.close()


def _tidy(spec: SandboxSpec, *, parked: bool = False) -> None:
    """Take away what is left mounted of a sandbox of which nothing is alive.

    Raises:
        StillRunningError: something can't be unmounted.
    """
    try:
        failpoints.reach("unmount")
        current().tidy(spec, parked=parked)
    except OSError as error:
        raise _still_running("", Failed("unmount", error.errno or 0, str(error))) from error


def _nameless_file(data: bytes) -> IO[bytes]:
    """A file that only its descriptor leads to, at its beginning: in memory where the system has that."""
    if hasattr(os, "memfd_create"):
        file: IO[bytes] = open(os.memfd_create("specification"), "w+b")  # noqa: SIM115 - the caller closes it
    else:
        import tempfile  # noqa: PLC0415 - seldom needed

        file = tempfile.TemporaryFile()  # noqa: SIM115
    file.write(data)
    file.seek(0)  # which writes it out
    return file


def _readable(control: socket.socket, timeout: float | None) -> bool:
    poller = select.poll()  # not select(), which only knows descriptors below 1024
    poller.register(control, select.POLLIN)
    return bool(poller.poll(None if timeout is None else timeout * 1000))


def _receive(control: socket.socket) -> Answer | None:
    """The next message; None at the socket's end."""
    try:
        data = control.recv(SIZE)
    except ConnectionResetError:
        # The spawner closed its end before it read the last `KILL`; what it had sent is still there.
        data = control.recv(SIZE)
    return decode(data) if data else None


def _still_running(step: str, answer: Answer | None) -> StillRunningError:
    """What the spawner says is left; without an answer it has gone."""
    failed = answer if isinstance(answer, Failed) else Failed(step, detail="the spawner has gone")
    return StillRunningError(
        failed.step,
        failed.errno,
        failed.detail,
        hint="the daemon's next start cleans up: then build again",
    )
