"""The least that the processes cost a daemon in Python that sandboxes come from, as Fruix has them.

The daemon is big and has threads, so it never forks: the *spawner* does, small and of one thread, which was
forked first. It is told what to build, and tells that the builder runs, and how that ended when nothing of it
is left. Sandboxes are its own children, cloned ahead by a process that does nothing else, each in a control
group of its own, which tells what was used, and whether anything is left.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import socket
import time
from typing import NoReturn

RUNNING = b"running"
_CLONE_PARENT = 0x8000
_MOST = 1 << 16


class Spawner:
    """The daemon's side. Thread-safe: a request is one message."""

    def __init__(self) -> None:
        self._requests, inner = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if os.fork() == 0:
            _spawn_for_ever(self._requests, inner)
        inner.close()
        from fruix.sandbox.linux.cgroup import CgroupParent  # noqa: PLC0415 - no process that forks needs it

        parent = CgroupParent.find()
        self._groups = parent.path if parent else ""

    def make(self, base: str, number: int) -> None:
        """Have a sandbox made whose directory is `base`; returns at once."""
        group = self._groups and f"{self._groups}/frx-bare-{os.getpid()}-{number}"
        self._requests.send(f"{base}\n{group}".encode())

    def give(self, base: str, specification: bytes, log: int) -> socket.socket:
        """Have that one build; where `RUNNING` and the end are told, a status and what was used."""
        control, inner = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        given = [inner.fileno(), log]
        socket.send_fds(self._requests, [base.encode() + b"\n" + specification], given)
        inner.close()
        return control


class _Sandbox:
    """One that is being made, waits for its word, or runs; `group`: empty where there are none."""

    def __init__(self, words: socket.socket, base: str, group: str) -> None:
        self.group = group
        self.pid = self.ended = -1
        self.control: socket.socket | None = None
        self.channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.status, reports = os.pipe()
        socket.send_fds(words, [f"{base}\n{group}".encode()], [theirs.fileno(), reports])
        theirs.close()
        os.close(reports)

    def give(self, specification: bytes, control: socket.socket, log: int) -> None:
        """Its word."""
        self.control = control
        socket.send_fds(self.channel, [specification], [log])
        self.channel.close()
        os.close(log)

    def tell(self, said: bytes) -> None:
        """Have the daemon hear it."""
        assert self.control is not None
        self.control.send(said)

    def hear(self) -> None:
        """The program runs; else what went wrong."""
        self.tell(os.read(self.status, _MOST) or RUNNING)
        os.close(self.status)
        self.status = -1

    def end(self) -> None:
        """Nothing is left of it but how it ended."""
        _, status = os.waitpid(self.pid, 0)
        used = b""
        if self.group:
            with open(f"{self.group}/cpu.stat", "rb", buffering=0) as file:
                used = file.read().partition(b"\n")[0]
            os.rmdir(self.group)  # which proves that nothing is left in it
        os.close(self.ended)
        self.tell(b"%d %b" % (status, used))
        assert self.control is not None
        self.control.close()


class _Spawning:
    """The spawner's side."""

    def __init__(self, requests: socket.socket, words: socket.socket) -> None:
        self._requests, self._words = requests, words
        self._poll = select.poll()
        self._poll.register(requests, select.POLLIN)
        self._asked: list[_Sandbox] = []  # of which the number isn't known yet
        self._made: dict[bytes, _Sandbox] = {}
        self._polled: dict[int, _Sandbox] = {}

    def run(self) -> None:
        """Until the daemon ends."""
        while True:
            for descriptor, _ in self._poll.poll():
                if descriptor != self._requests.fileno():
                    self._event(descriptor)
                elif not self._request():
                    return

    def _request(self) -> bool:
        data, given, _, _ = socket.recv_fds(self._requests, _MOST, 2)
        base, _, rest = data.partition(b"\n")
        if given:
            self._give(self._made.pop(base), rest, *given)
        elif data:
            self._made[base] = _Sandbox(self._words, base.decode(), rest.decode())
            self._asked.append(self._made[base])
        return bool(data)

    def _give(self, sandbox: _Sandbox, specification: bytes, control: int, log: int) -> None:
        while sandbox.pid < 0:
            self._asked.pop(0).pid = int(self._words.recv(_MOST))
        sandbox.ended = os.pidfd_open(sandbox.pid)
        sandbox.give(
            specification, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, fileno=control), log
        )
        for descriptor in (sandbox.status, sandbox.ended):
            self._polled[descriptor] = sandbox
            self._poll.register(descriptor, select.POLLIN)

    def _event(self, descriptor: int) -> None:
        if (sandbox := self._polled.pop(descriptor, None)) is None:
            return  # its end has been seen together with its beginning
        self._poll.unregister(descriptor)
        if descriptor == sandbox.status:
            sandbox.hear()
            return
        self._event(sandbox.status)
        sandbox.end()


def _spawn_for_ever(outer: socket.socket, requests: socket.socket) -> NoReturn:
    """Do what the daemon asks for, until that ends."""
    try:
        outer.close()
        words, inner = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if os.fork() == 0:
            requests.close()
            _clone_for_ever(words, inner)
        inner.close()
        _Spawning(requests, words).run()
    finally:
        os._exit(1)


def _clone_for_ever(outer: socket.socket, words: socket.socket) -> NoReturn:
    """Clone a sandbox at each word, as a process of the spawner's, until that ends."""
    try:
        outer.close()
        import bare_builds  # noqa: PLC0415 - the daemon needs none of it

        gc.disable()
        groups = []
        while True:
            data, given = b"", [-1]
            with contextlib.suppress(ConnectionResetError):  # it had not heard of the last one yet
                data, given, _, _ = socket.recv_fds(words, _MOST, 2)
            if not data:
                break
            channel, status = given
            base, _, group = data.decode().partition("\n")
            place = [_make_group(group)] if group else []
            groups.append(group)
            if (pid := bare_builds.clone(_CLONE_PARENT, 0, *place)) == 0:
                words.close()
                _become_builder(base, socket.socket(fileno=channel), status)
            for descriptor in (channel, status, *place):
                os.close(descriptor)
            words.send(b"%d" % pid)
        for group in groups:
            _remove_group(group)
    finally:
        os._exit(1)


def _make_group(path: str) -> int:
    os.mkdir(path)
    return os.open(path, os.O_PATH | os.O_DIRECTORY)


def _remove_group(path: str) -> None:
    """If it is that of a sandbox that no build has taken: its first process ends with the spawner."""
    while os.path.isdir(path):
        with contextlib.suppress(OSError):
            os.rmdir(path)
        time.sleep(0.001)


def _become_builder(base: str, channel: socket.socket, status: int) -> NoReturn:
    import bare_builds  # noqa: PLC0415 - as above

    step = ""
    try:
        bare_builds.ahead(base)
        data, (log,), _, _ = socket.recv_fds(channel, _MOST, 1)
        wanted = json.loads(data)
        step, source = "mounts", wanted["source"]
        bare_builds.mounts(base, source, log, wanted["store"][1:], os.path.basename(source), wanted["files"])
        step = "powers"
        bare_builds.powers()
        step = "exec"
        os.chdir("/build")
        program = wanted["builder"]
        os.execve(program, (program, *wanted["arguments"]), wanted["environment"])  # noqa: S606
    except BaseException as error:  # noqa: BLE001 - whatever it is has to be told
        os.write(status, f"{step}: {error}".encode())
    finally:
        os._exit(127)
