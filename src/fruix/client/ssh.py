"""Machines that builds are sent to: a daemon behind `ssh`, which serves its input and output.

The connection is given up when there is a reason to: every wait on it ends when the build's `waker` is
readable, and looks for a reason now and then. `ssh` never asks anything, and notices within two minutes
that the other end says nothing any more. Words in `NIX_SSHOPTS` are further options of it, as for Nix.
"""

from __future__ import annotations

import os
import select
import signal
import socket
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from fruix.client.remote import RemoteStore
from fruix.client.transfer import copy
from fruix.errors import DisconnectedError, FruixError, ProtocolError
from fruix.model.machines import Machine
from fruix.model.storepath import StorePath
from fruix.protocol.wire import FEATURE
from fruix.store.interface import Store
from fruix.threads import Thread

_OPTIONS = ("-x", "-a", "-T", "-oBatchMode=yes", "-oConnectTimeout=30", "-oServerAliveInterval=30")
_LOOK = 500  # milliseconds between looks for a reason to stop
_LAST_LINES = 5
_LONGEST_LINE = 1 << 12

WhyStop = Callable[[], FruixError | None]


class MachineStore(RemoteStore):
    """The store and the builders of a machine."""

    @property
    def is_own(self) -> bool:
        """Whether its daemon is Fruix's."""
        return FEATURE in self._exchange.context.features

    def send(self, store: Store, paths: Sequence[StorePath], *, substitute: bool) -> None:
        """Make paths of a store of this process valid there, with all that they need."""
        copy(store, self, paths, unchecked=True, here=True, substitute=substitute)


@contextmanager
def connect_machine(
    machine: Machine, directory: str, waker: int, why_stop: WhyStop
) -> Iterator[MachineStore]:
    """Run `ssh`, and greet the daemon behind it; nothing of it runs any more at the end.

    Args:
        machine: where to.
        directory: the store directory, which both have to have.
        waker: readable when there may be a reason to stop.
        why_stop: the reason, if there is one.

    Raises:
        DisconnectedError: it isn't reached, or has gone; says what `ssh` says.
        FruixError: the reason to stop.
    """
    with ExitStack() as closing:
        ours, theirs = socket.socketpair()
        closing.callback(ours.close)
        reading, writing = os.pipe()
        said: deque[bytes] = deque(maxlen=_LAST_LINES)
        listener = Thread(_listen, f"ssh {machine.host}", (reading, said))
        try:
            process = _start(ssh_command(machine, closing), theirs.fileno(), writing)
        finally:
            theirs.close()
            os.close(writing)
        closing.callback(os.waitpid, process, 0)
        closing.callback(_kill, process)
        listener.start()
        ours.setblocking(False)
        try:
            with MachineStore(_Watched(ours, waker, why_stop), directory, where=machine.uri) as store:  # type: ignore[arg-type]
                yield store
        except (DisconnectedError, ProtocolError) as error:
            _kill(process)
            listener.join(1.0)  # a master of shared connections may hold it open
            words = b" ".join(said).decode("utf-8", "replace").strip()
            raise DisconnectedError(words or str(error)) from error


def ssh_command(machine: Machine, closing: ExitStack) -> list[str]:
    """The words of the command; what it needs of files is there until `closing` ends."""
    import shlex  # noqa: PLC0415 - seldom needed
    import tempfile  # noqa: PLC0415 - seldom needed

    words = ["ssh", *_OPTIONS, *shlex.split(os.environ.get("NIX_SSHOPTS", ""))]
    if machine.port:
        words += ["-p", str(machine.port)]
    if machine.key:
        words += ["-i", machine.key]
    if machine.host_key:
        known = closing.enter_context(
            tempfile.NamedTemporaryFile(  # noqa: SIM115 - closed by `closing`
                "w", prefix="fruix-known-hosts-"
            )
        )
        name = machine.host.rpartition("@")[2]
        known.write(f"{f'[{name}]:{machine.port}' if machine.port else name} {machine.host_key}\n")
        known.flush()
        words += [f"-oUserKnownHostsFile={known.name}", "-oStrictHostKeyChecking=yes"]
    return [*words, "--", machine.host, machine.program, "--stdio"]


def _start(words: list[str], stream: int, errors: int) -> int:
    """Begin a process in a group of its own, with no signal blocked: threads of a daemon block all."""
    actions = [(os.POSIX_SPAWN_DUP2, old, new) for old, new in ((stream, 0), (stream, 1), (errors, 2))]
    try:
        return os.posix_spawnp(words[0], words, os.environ, file_actions=actions, setpgroup=0, setsigmask=())
    except FileNotFoundError:
        raise DisconnectedError(f"there is no program '{words[0]}' on the daemon's PATH") from None


def _kill(process: int) -> None:
    os.killpg(process, signal.SIGKILL)


def _listen(descriptor: int, said: deque[bytes]) -> None:
    """Keep the last lines of what comes, to its end."""
    with open(descriptor, "rb") as stream:
        while line := stream.readline(_LONGEST_LINE):
            said.append(line.strip())


class _Watched:
    """A stream whose waits end when there is a reason to stop, which they raise."""

    def __init__(self, stream: socket.socket, waker: int, why_stop: WhyStop) -> None:
        self._stream = stream
        self._waker = waker
        self._why_stop = why_stop

    def recv(self, limit: int) -> bytes:
        """The next bytes; none at the end."""
        self._wait(select.POLLIN)
        return self._stream.recv(limit)

    def sendall(self, data: bytes | bytearray) -> None:
        """Send all of it."""
        left = memoryview(data)
        while left:
            self._wait(select.POLLOUT)
            left = left[self._stream.send(left) :]

    def close(self) -> None:
        """Leave."""
        self._stream.close()

    def _wait(self, event: int) -> None:
        poller = select.poll()
        poller.register(self._stream, event)
        poller.register(self._waker, select.POLLIN)
        while True:
            ready = dict(poller.poll(_LOOK))
            if (why := self._why_stop()) is not None:
                raise why
            if self._stream.fileno() in ready:
                return
