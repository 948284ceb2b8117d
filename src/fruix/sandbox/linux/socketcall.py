"""Sockets for 32-bit programs of the GNU C library for x86, which make them by `socketcall`.

The family that this call is asked for lies in the program's memory, where no filter can read it,
and other threads could change it after a look. So for builds of such systems the filter hands the
call to a process beside the sandbox: that one reads the words once, judges them by the rule for
socket(2), makes the socket itself and puts it among the program's descriptors. The program's own
words are never used. All other calls of the program pass the filter as everybody's do; where nobody
answers (64-bit builds, an outer filter that asks already) the call doesn't exist.

Who is who: the sandbox's first process loads the filter as its last step and sends the descriptor
at which it asks, with its namespaces, to the *answerer*, which the spawner has cloned beside it.
That one enters the network namespace, in which the sockets are to be, and the user namespace,
becomes the build user, and keeps one capability: to look into its processes. It ends when the last
of them does, and dies with the spawner or by `HelperProcess.stop`. A pair that it made has its
process number (0, as seen from inside) in SO_PEERCRED.

Structures and numbers: seccomp_unotify(2), linux/seccomp.h.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import signal
import socket
import struct
from collections.abc import Callable
from typing import NoReturn, TypeVar

from fruix.dataclass import dataclass, replace
from fruix.sandbox.linux import identity, libc, seccomp
from fruix.sandbox.linux.helper_process import HelperProcess, close_all_but
from fruix.sandbox.linux.seccomp_rules import ALLOW, FAMILIES, SOCKETPAIR, judge
from fruix.sandbox.spec import SandboxSpec

T = TypeVar("T")

_RECEIVE, _SEND, _STILL_VALID, _ADD_DESCRIPTOR = 0xC0502100, 0xC0182101, 0x40082102, 0x40182103
_QUESTION = struct.Struct(
    "=QIIiIQ6Q"
)  # id, pid, flags, then struct seccomp_data: number, ABI, address, arguments
_ANSWER = struct.Struct("=QqiI")  # id, value, error, flags
_ADDITION = struct.Struct("=QIIII")  # id, flags, our descriptor, its number there, its flags there
_WORDS = {
    False: struct.Struct("=3I"),
    True: struct.Struct("=4I"),
}  # family, type, protocol; of a pair where to put it
_PAIR = struct.Struct("=2i")
_LOW = 0xFFFFFFFF
_ERRNO_BITS = 0xFFFF


def wanted(spec: SandboxSpec) -> bool:
    """Whether the builder is a 32-bit program for x86."""
    return spec.personality == "linux32" and libc.MACHINE == "x86_64"


@dataclass(slots=True)
class Ends:
    """A socket between sandbox and answerer."""

    hears: int
    says: int

    @classmethod
    def make(cls) -> Ends:
        """Make the socket pair; an exec closes both ends."""
        hears, says = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return cls(hears.detach(), says.detach())

    def close(self) -> None:
        """Both, in the process that needs none."""
        os.close(self.hears)
        os.close(self.says)


def load_filter(says: int) -> None:
    """Load the filter that asks, in the sandbox, and tell the answerer where."""
    program = seccomp.build_filter(asks=True)
    namespaces = [os.open(f"/proc/self/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in ("net", "user")]
    try:
        asking = seccomp.load_asking(program)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        seccomp.load(seccomp.build_filter())
        return
    with socket.socket(fileno=says) as answerer:
        socket.send_fds(answerer, [b"x"], [asking, *namespaces])
    for descriptor in (asking, *namespaces):
        os.close(descriptor)


def start(spec: SandboxSpec, ends: Ends) -> HelperProcess:
    """Clone the answerer of a sandbox. Call in a single-threaded process only."""
    pid = libc.clone(0)
    if pid == 0:
        _live(spec, ends.hears)
    return HelperProcess(pid, os.pidfd_open(pid))


def _live(spec: SandboxSpec, hears: int) -> NoReturn:
    """The answerer's life. Whatever goes wrong in it, the call then doesn't exist for the builder."""
    try:
        close_all_but(hears)
        _die_with_parent()
        with socket.socket(fileno=hears) as sandbox:
            _, descriptors, _, _ = socket.recv_fds(sandbox, 1, 3)
        if len(descriptors) == 3:  # else the sandbox ended before it got there
            asking, network, user = descriptors
            _become_builder(spec, network, user)
            _answer_all(asking)
    finally:
        os._exit(0)


def _die_with_parent() -> None:
    libc.prctl(libc.PR_SET_PDEATHSIG, signal.SIGKILL)


def _become_builder(spec: SandboxSpec, network: int, user: int) -> None:
    """Take the builder's namespaces and ids, and keep the right to read and write its memory."""
    who = spec.identity
    libc.setns(network, libc.CLONE_NEWNET)
    if not who.shared:
        os.setgroups(())
    if who.user_namespace:
        libc.setns(user, libc.CLONE_NEWUSER)
        who = replace(who, uid=who.inside_uid, gid=who.inside_gid)
    identity.drop_bounding_set(identity.read_last_capability())
    libc.prctl(libc.PR_SET_KEEPCAPS, 1)
    os.setresgid(who.gid, who.gid, who.gid)
    os.setresuid(who.uid, who.uid, who.uid)
    libc.drop_all_capabilities(libc.CAP_SYS_PTRACE)
    _die_with_parent()  # a change of ids has cleared it


def _answer_all(asking: int) -> None:
    """Answer questions until nobody is left who could ask."""
    poller = select.poll()
    poller.register(asking, select.POLLIN)
    while all(event & select.POLLIN for _, event in poller.poll()):
        question = bytearray(_QUESTION.size)
        try:
            fcntl.ioctl(asking, _RECEIVE, question)
        except OSError as error:
            if error.errno in {errno.ENOENT, errno.EINTR}:  # who asked was killed
                continue
            raise
        number, pid, _, _, _, _, call, address, *_ = _QUESTION.unpack(question)
        value, code = 0, 0
        try:
            value = _make(asking, number, pid, pair=call & _LOW == SOCKETPAIR, address=address & _LOW)
        except OSError as error:
            code = -(error.errno or errno.EPERM)
        _tell(asking, _ANSWER.pack(number, value, code, 0))


def _tell(asking: int, answer: bytes) -> None:
    try:
        fcntl.ioctl(asking, _SEND, answer)
    except FileNotFoundError:  # who asked was killed
        return


def _make(asking: int, question: int, pid: int, *, pair: bool, address: int) -> int:
    """Make what is asked for and give it to who asks; returns the call's value.

    Raises:
        OSError: the call's error.
    """
    # Held open it stays this process's memory. Writing by it heeds no page's protection, which the
    # process could change itself.
    memory = os.open(f"/proc/{pid}/mem", os.O_RDWR | os.O_CLOEXEC)
    try:
        # The number may have become another's, but not after this, as long as the question stands.
        fcntl.ioctl(asking, _STILL_VALID, struct.pack("=Q", question))
        shape = _WORDS[pair]
        words = _faulting(lambda: os.pread(memory, shape.size, address))
        if len(words) != shape.size:
            raise OSError(errno.EFAULT, os.strerror(errno.EFAULT))
        family, kind, protocol, *place = shape.unpack(words)
        if (action := judge(FAMILIES, (family, kind, protocol))) != ALLOW:
            raise OSError(action & _ERRNO_BITS, "refused")
        made = [end.detach() for end in _sockets(family, kind, protocol, pair=pair)]
        numbers = _give(asking, question, made, kind)
        if not pair:
            return numbers[0]
        _faulting(lambda: os.pwrite(memory, _PAIR.pack(*numbers), place[0]))
        return 0
    finally:
        os.close(memory)


def _faulting(access: Callable[[], T]) -> T:
    """An access to the other's memory, at an address that it gave."""
    try:
        return access()
    except OSError as error:
        raise OSError(errno.EFAULT, os.strerror(errno.EFAULT)) from error


def _sockets(family: int, kind: int, protocol: int, *, pair: bool) -> tuple[socket.socket, ...]:
    signed = protocol - (1 << 32) if protocol >> 31 else protocol
    if pair:
        return socket.socketpair(family, kind, signed)
    return (socket.socket(family, kind, signed),)


def _give(asking: int, question: int, made: list[int], kind: int) -> list[int]:
    """Put the descriptors among those of who asks; returns their numbers there."""
    flags = os.O_CLOEXEC if kind & socket.SOCK_CLOEXEC else 0
    try:
        return [
            # Of what can be changed the call's own value is returned.
            fcntl.ioctl(asking, _ADD_DESCRIPTOR, bytearray(_ADDITION.pack(question, 0, descriptor, 0, flags)))
            for descriptor in made
        ]
    finally:
        for descriptor in made:
            os.close(descriptor)
