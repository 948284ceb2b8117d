"""The process that sandboxes are cloned from, so that the spawner itself is not.

After a fork the kernel copies each page for whoever writes to it first, and Python writes to every object
that it looks at: some 360 pages of a spawner for each build, while a client waits. The template is forked
from the spawner once, does nothing but clone, and so writes to few. What it clones is the spawner's child
and not its own (CLONE_PARENT): the spawner waits for it, and the kernel kills it with the spawner.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import struct
from collections.abc import Callable, Sequence
from typing import NoReturn

from fruix import failpoints
from fruix.sandbox.linux import inherited, libc
from fruix.sandbox.linux.helper_process import close_all_but
from fruix.sandbox.process_defaults import default_signals, remember_signals

_WORD = struct.Struct("=Q??")  # flags of clone(2); whether the last descriptor is a group; `at_once`
_ANSWER = struct.Struct("=q")  # the process, or -errno
_NUMBER = struct.Struct("=i")
_MOST = 3  # descriptors that come with a word

Begin = Callable[[Sequence[int], bool], NoReturn]
"""What a cloned process does with the descriptors that it was given; whether it is wanted at once."""


class Template:
    """The spawner's side. Used by one thread, which asks for one process at a time."""

    def __init__(self, begin: Begin) -> None:
        """Fork it from this process, which has to be single-threaded.

        Raises:
            OSError: it can't be forked.
        """
        self._words, inner = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        parent = os.getpid()
        try:
            with inner:
                self._pid = os.fork()
                if self._pid == 0:
                    _become_template(inner, parent, begin)
        except OSError:
            self._words.close()
            raise

    def ask(self, flags: int, descriptors: Sequence[int], group: int, *, at_once: bool) -> None:
        """Have a process cloned with `flags`, born in the control group that is open (-1: in this one's).

        Returns at once; `answer` has to follow.

        Raises:
            OSError: the template has gone.
        """
        given = [*descriptors, group] if group >= 0 else descriptors
        socket.send_fds(self._words, [_WORD.pack(flags, group >= 0, at_once)], given)

    def answer(self) -> int:
        """The number of the process that was asked for.

        Raises:
            OSError: it could not be cloned, or the template has gone. Should it have been cloned it ends when
                it finds its descriptors' other ends closed.
        """
        data = self._words.recv(_ANSWER.size)
        if not data:
            raise ConnectionResetError("the process that sandboxes are cloned from has gone")
        number: int = _ANSWER.unpack(data)[0]
        if number < 0:
            raise OSError(-number, f"{os.strerror(-number)}: clone")
        return number

    def close(self) -> None:
        """End it, and wait for that."""
        self._words.close()
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)


def receive(connection: socket.socket, size: int, most: int) -> tuple[bytes, Sequence[int]]:
    """The next message, and up to `most` descriptors that came with it.

    `socket.recv_fds` does the same with more objects, whose pages a cloned process has to have copied.
    """
    data, ancillary, _, _ = connection.recvmsg(size, socket.CMSG_LEN(most * _NUMBER.size))
    return data, [number for _, _, numbers in ancillary for (number,) in _NUMBER.iter_unpack(numbers)]


def _become_template(words: socket.socket, parent: int, begin: Begin) -> NoReturn:
    """Bring this process to what a fork passes on, and clone until the spawner ends. Never returns."""
    try:
        libc.prctl(libc.PR_SET_PDEATHSIG, signal.SIGKILL)
        os.setsid()  # a terminal's interrupts are for the daemon
        close_all_but(words.fileno())
        default_signals()
        remember_signals()
        inherited.go_first()
        failpoints.arm("")
        gc.disable()  # a collection writes to every object; here none is left behind
        alive = os.getppid() == parent  # else it died before the kernel was asked to tell
        while alive and _once(words, begin):
            pass
    finally:
        os._exit(1)


def _once(words: socket.socket, begin: Begin) -> bool:
    """Clone once; whether there may be more to do."""
    data, descriptors = receive(words, _WORD.size, _MOST)
    if not data:
        return False
    flags, in_group, at_once = _WORD.unpack(data)
    *given, group = descriptors if in_group else (*descriptors, -1)
    try:
        pid = libc.clone(flags | libc.CLONE_PARENT, group)
    except OSError as error:
        pid = -(error.errno or 1)
    if pid == 0:
        os.close(words.fileno())
        if in_group:
            os.close(group)
        begin(given, at_once)
    for descriptor in descriptors:
        os.close(descriptor)
    words.send(_ANSWER.pack(pid))
    return True
