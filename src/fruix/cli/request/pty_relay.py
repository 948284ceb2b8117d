"""Bytes between a person's terminal (or pipe) and that of a sandbox, and the window's size.

While it works the person's terminal is in raw mode: every key goes inside, ctrl-C and the like too.
What comes out is shown as it is, since full-screen programs need that; answers that a terminal may
have given to what it was sent are thrown away at the end, so that they don't reach the person's own
shell.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import signal
import termios
import tty
from collections.abc import Iterator

CHUNK = 1 << 16
# What ends a line, and then a read, in a terminal's line discipline.
END_OF_INPUT = b"\x04\x04"
# Milliseconds until it is said again: a shell that takes over the terminal after it was said has
# thrown it away.
_AGAIN = 500


def relay(outer: int, inside: int = 0, outside: int = 1) -> None:
    """Copy until nothing holds the other end any more.

    Args:
        outer: the outer end of the sandbox's terminal; closed at the end.
        inside: where input comes from.
        outside: where output goes.
    """
    try:
        os.set_blocking(outer, False)
        with _raw(inside, outer), _window_size(inside, outer):
            _copy(outer, inside, outside)
    finally:
        os.close(outer)


def _copy(outer: int, inside: int, outside: int) -> None:
    pending = b""
    reading = True
    while True:
        poller = select.poll()
        poller.register(outer, select.POLLIN | (select.POLLOUT if pending else 0))
        if reading and not pending:
            poller.register(inside, select.POLLIN)
        ready = dict(poller.poll(None if reading or pending else _AGAIN))
        if ready.get(outer, 0) & ~select.POLLOUT and not _show(outer, outside):
            return
        if ready.get(outer, 0) & select.POLLOUT:
            pending = pending[_written(outer, pending) :]
        if inside in ready:
            pending = os.read(inside, 1024)
            reading = bool(pending)
        if not (reading or pending or outer in ready):
            pending = END_OF_INPUT


def _show(outer: int, outside: int) -> bool:
    """Pass on what the sandbox wrote; False at its end."""
    try:
        data = os.read(outer, CHUNK)
    except BlockingIOError:
        return True
    except OSError as error:
        if error.errno == errno.EIO:  # Linux says so when the inner end is closed everywhere
            return False
        raise
    while data:
        data = data[os.write(outside, data) :]
        if not data:
            return True
    return False


def _written(outer: int, data: bytes) -> int:
    try:
        return os.write(outer, data)
    except BlockingIOError:
        return 0
    except OSError:
        return len(data)  # nobody will read it any more


@contextlib.contextmanager
def _raw(inside: int, outer: int) -> Iterator[None]:
    """Hold the person's terminal in raw mode.

    Where there is none the sandbox's echoes nothing and leaves line ends alone.
    """
    if not os.isatty(inside):
        attributes = termios.tcgetattr(outer)
        attributes[1] &= ~termios.OPOST
        attributes[3] &= ~termios.ECHO
        termios.tcsetattr(outer, termios.TCSANOW, attributes)
        yield
        return
    before = termios.tcgetattr(inside)
    tty.setraw(inside, termios.TCSADRAIN)
    try:
        yield
    finally:
        termios.tcsetattr(inside, termios.TCSAFLUSH, before)


@contextlib.contextmanager
def _window_size(inside: int, outer: int) -> Iterator[None]:
    """Tell the sandbox's terminal how large the person's is, now and whenever that changes."""
    if not os.isatty(inside):
        yield
        return

    def copy(*_: object) -> None:
        size = fcntl.ioctl(inside, termios.TIOCGWINSZ, b"\0" * 8)
        fcntl.ioctl(outer, termios.TIOCSWINSZ, size)

    copy()
    before = signal.signal(signal.SIGWINCH, copy)
    try:
        yield
    finally:
        signal.signal(signal.SIGWINCH, before)
