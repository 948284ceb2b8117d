"""The spawner: a small single-threaded process that forks every builder and tells the daemon how each ends.

What it reads and answers is in `ipc`. A control socket's end kills its sandbox like `KILL`; the end of
the request socket, which is the daemon's, kills all of them. One more may stand ready for a build to come
(`BackEnd.park`), when the daemon has asked for that. Nothing here blocks on one sandbox: all
descriptors are polled in one loop.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import select
import socket
from collections.abc import Iterator

from fruix import failpoints
from fruix.dataclass import dataclass, field, replace
from fruix.sandbox.back_ends import BackEnd, Exit, Started, current
from fruix.sandbox.process_defaults import remember_signals
from fruix.sandbox.spawner.ipc import (
    DESCRIPTORS,
    PARK,
    SIZE,
    SPAWN,
    Answer,
    Failed,
    ParkRequest,
    Running,
    SealedRequest,
    decode,
    encode,
)

_CLEAN_UP = "clean-up"  # the step of a failure after which something is left


@dataclass(slots=True)
class _Sandbox:
    started: Started
    control: socket.socket
    running: bool = False
    report: bytes = b""
    listening: set[int] = field(default_factory=set)


class SpawnerProcess:
    """The loop. Runs until the daemon closes its end."""

    def __init__(self, requests: socket.socket, back_end: BackEnd) -> None:
        self._requests = requests
        self._back_end = back_end
        self._poll = select.poll()
        self._sandboxes: dict[int, _Sandbox] = {}  # by each descriptor that is polled for it
        self._parking: socket.socket | None = None  # over which the daemon asks for sandboxes to stand ready
        self._stale = -1  # ready when what stands ready is no longer as if made now

    def serve(self) -> None:
        """Serve until the end, then kill what is left."""
        self._poll.register(self._requests, select.POLLIN)
        try:
            while self._once():
                pass
        finally:
            left = {id(sandbox): sandbox for sandbox in self._sandboxes.values()}.values()
            for sandbox in left:
                sandbox.started.abandon()
            for sandbox in left:
                _finish(sandbox)
            self._back_end.unpark()

    def _once(self) -> bool:
        # Before a request that came with it would use it.
        for descriptor, _ in sorted(self._poll.poll(), key=lambda event: event[0] != self._stale):
            if descriptor == self._requests.fileno():
                if not self._request():
                    return False
            elif descriptor == self._stale:
                self._back_end.unpark()
            elif self._parking is not None and descriptor == self._parking.fileno():
                self._repeat(self._parking)
            elif (sandbox := self._sandboxes.get(descriptor)) is not None:
                self._event(sandbox, descriptor)
        return True

    def _request(self) -> bool:
        try:
            # Room for one more: FreeBSD also wants to deliver the padding after an odd number, or
            # drops them all.
            data, descriptors, _, _ = socket.recv_fds(self._requests, SIZE, DESCRIPTORS + 1)
        except ConnectionError:
            return False
        if not data:
            return False
        control, *others = descriptors or [-1]
        if control >= 0:  # else not even one descriptor was left: the daemon sees the end of its side
            # Told what it is: asking the system takes three calls.
            kept = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, fileno=control)
            if data.startswith(PARK):
                self._end_parking()
                self._parking = kept
                self._poll.register(kept, select.POLLIN)
                self._park(data)
            else:
                self._spawn(kept, data, others)
        return True

    def _park(self, data: bytes) -> None:
        """Have a sandbox ready. If it can't be, builds get fresh ones."""
        request = ParkRequest.parse(data)
        with contextlib.suppress(OSError), self._armed(request.fault):
            stale = self._back_end.park(request.name, request.root)
            if self._stale < 0 <= stale:
                self._stale = stale
                self._poll.register(stale, select.POLLPRI)

    def _repeat(self, parking: socket.socket) -> None:
        """Once more, or, at the daemon's word or end, never again."""
        data = b""
        with contextlib.suppress(ConnectionError):
            data = parking.recv(SIZE)
        if data.startswith(PARK):
            self._park(data)
        else:
            self._end_parking()

    def _end_parking(self) -> None:
        if self._parking is not None:
            gone = self._back_end.unpark()
            self._poll.unregister(self._parking)
            _send(self._parking, Exit(0, None, 0, 0, 0) if gone else Failed(_CLEAN_UP, left=True))
            self._parking.close()
            self._parking = None

    @contextlib.contextmanager
    def _armed(self, fault: str) -> Iterator[None]:
        with failpoints.armed(fault):
            failpoints.know("daemon", os.getppid())
            failpoints.know("spawner", os.getpid())
            yield

    def _spawn(self, control: socket.socket, data: bytes, descriptors: list[int]) -> None:
        """Start a sandbox, or say why not; the spawner lives on in any case."""
        try:
            in_file = data == SPAWN
            if len(descriptors) < DESCRIPTORS - 1 - (not in_file):
                raise OSError(errno.EMFILE, "the spawner has too many open files")
            log = descriptors[0]
            request = SealedRequest(_contents(descriptors[1]) if in_file else data)
            with self._armed(request.fault):
                ready = self._back_end.hand_over(request, log)
                started = ready or self._back_end.start(request.spec(), log)
        except Exception as error:  # noqa: BLE001 - the daemon is told
            with control:
                _send(control, _failure("spawn", error))
            return
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        sandbox = _Sandbox(started, control)
        for wanted in (started.status, started.ended, control.fileno()):
            self._listen(sandbox, wanted)

    def _listen(self, sandbox: _Sandbox, descriptor: int) -> None:
        self._sandboxes[descriptor] = sandbox
        sandbox.listening.add(descriptor)
        self._poll.register(descriptor, select.POLLIN)

    def _ignore(self, sandbox: _Sandbox, descriptor: int) -> None:
        if descriptor in sandbox.listening:
            sandbox.listening.remove(descriptor)
            del self._sandboxes[descriptor]
            self._poll.unregister(descriptor)

    def _event(self, sandbox: _Sandbox, descriptor: int) -> None:
        if descriptor == sandbox.started.status:
            self._status(sandbox)
        elif descriptor == sandbox.started.ended:
            self._end(sandbox)
        else:
            # A request to kill, or the daemon's thread has gone: the same.
            with contextlib.suppress(OSError):
                sandbox.control.recv(SIZE)
            sandbox.started.kill()
            self._ignore(sandbox, descriptor)

    def _status(self, sandbox: _Sandbox) -> None:
        """The setup failed (a report), or the program runs (the pipe's end)."""
        report = os.read(sandbox.started.status, SIZE)
        if report.startswith(failpoints.MARK):
            failpoints.strike(report.removeprefix(failpoints.MARK).decode())
            return
        if report:
            sandbox.report += report
            return
        self._ignore(sandbox, sandbox.started.status)
        if not sandbox.report:
            sandbox.running = True
            _send(sandbox.control, Running(sandbox.started.pid))

    def _end(self, sandbox: _Sandbox) -> None:
        """The program has ended, and with it everything else of the sandbox."""
        while sandbox.started.status in sandbox.listening:
            self._status(sandbox)
        for descriptor in list(sandbox.listening):
            self._ignore(sandbox, descriptor)
        _send(sandbox.control, _finish(sandbox))
        sandbox.control.close()
        self._back_end.prepare_next()


def _contents(memory: int) -> bytes:
    with open(memory, "rb", closefd=False) as file:
        return file.read()


def _finish(sandbox: _Sandbox) -> Answer:
    """The last message about a sandbox."""
    try:
        ended = sandbox.started.finish()
    except OSError as error:
        return replace(_failure(_CLEAN_UP, error), left=True)
    return ended if sandbox.running else _setup_failure(sandbox.report)


def _failure(step: str, error: Exception) -> Failed:
    if not isinstance(error, OSError) or not error.errno:
        return Failed(step, 0, f"{type(error).__name__}: {error}")
    detail = str(error.filename or error.strerror or "")
    return Failed(step, error.errno, detail if detail != os.strerror(error.errno) else "")


def _setup_failure(report: bytes) -> Answer:
    """What the sandbox's first process reported; one that was killed before may have reported nothing."""
    try:
        return decode(report)
    except ValueError:
        return Failed("setup", detail="the process was killed before it could run the program")


def _send(control: socket.socket, answer: Answer) -> None:
    with contextlib.suppress(OSError):  # the daemon's thread may have gone
        control.send(encode(answer))


def main(requests: socket.socket) -> None:
    """The spawner's life, in a freshly forked process that has nothing but this socket."""
    back_end = current()
    back_end.begin()
    remember_signals()
    gc.freeze()  # what is loaded now is copied for every builder: nothing of it shall be written
    SpawnerProcess(requests, back_end).serve()
