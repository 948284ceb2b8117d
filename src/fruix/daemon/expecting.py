"""Waiting awake for the next request of a client that asks one thing after another.

A thread that sleeps until a request comes has to be woken, on a processor that sleeps by then too: on a
virtual machine this takes longer than to answer a question (40 of 75 µs were seen). So where requests
come at once, the next is looked for a moment before its session sleeps. Only where the daemon has nothing
else to do, and more than one processor: else the looks would keep others from it. A look that was in
vain, which can be since the client waits for this processor, makes the session sleep the next times. Where
both have the same one, which is where the kernel likes to put them, sleeping costs next to nothing (27 µs a
round were seen, 76 with a processor each) and a look can only be in vain, or find what came before it.
"""

from __future__ import annotations

import os
import socket
import time

# Seconds that a client may take to ask again: for a question, and until its session sleeps.
_AT_ONCE = 100e-6
_AWAKE = 50e-6
_FIRST_ASLEEP, _MOST_ASLEEP = 4, 256  # requests

_has_room = (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1) > 1
_busy: set[int] = set()  # the sessions that work on a request, or look for one


class Expectation:
    """What one client's last pauses let expect of the next."""

    def __init__(self, stream: socket.socket) -> None:
        """Expect nothing of a client that has just come."""
        self._stream = stream
        self._asleep = _FIRST_ASLEEP  # how often a request has to come at once before it is waited for awake
        self._penalty = 1

    def end(self) -> None:
        """The session has ended."""
        _busy.discard(id(self))

    def receive(self, limit: int) -> bytes:
        """Wait until something comes, as `recv` does, and raise what it raises."""
        own = id(self)
        _busy.discard(own)
        data = self._look(limit) if _has_room and not self._asleep and not _busy else None
        if data is None:
            begun = time.monotonic()
            data = self._stream.recv(limit)
            if self._asleep and time.monotonic() - begun < _AT_ONCE:
                self._asleep -= 1
        (_busy.add if data else _busy.discard)(own)
        return data

    def _look(self, limit: int) -> bytes | None:
        """What comes while the session is awake; None if nothing does."""
        _busy.add(id(self))
        until = time.monotonic() + _AWAKE
        found = True  # at the first look
        while time.monotonic() < until and len(_busy) == 1:
            try:
                data = self._stream.recv(limit, socket.MSG_DONTWAIT)
            except BlockingIOError:
                found = False
                continue
            if not found:
                self._penalty = 1
            return data
        _busy.discard(id(self))
        self._asleep = self._penalty
        self._penalty = min(2 * self._penalty, _MOST_ASLEEP)
        return None
