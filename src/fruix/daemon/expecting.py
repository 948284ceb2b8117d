"""Waiting awake for the next request of a client that asks one thing after another.

A thread that sleeps until a request comes has to be woken, on a processor that sleeps by then too: on a
virtual machine this takes longer than to answer a question (40 of 75 µs were seen). So where the last
request came at once, the next is looked for a moment before its session sleeps. One session at a time
does that, none where there is one processor, and whoever waits for this one is let through at each look.
"""

from __future__ import annotations

import os
import socket
import threading
import time

# Seconds that a client may take to ask again: for a question, and until its session sleeps.
_AT_ONCE = 100e-6
_AWAKE = 50e-6

_turn = threading.Lock()
_has_room = (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1) > 1
_yield = getattr(os, "sched_yield", lambda: None)


class Expectation:
    """What one client's last pauses let expect of the next."""

    def __init__(self, stream: socket.socket) -> None:
        """Expect nothing of a client that has just come."""
        self._stream = stream
        self._is_brisk = False

    def receive(self, limit: int) -> bytes:
        """Wait until something comes, as `recv` does, and raise what it raises."""
        begun = time.monotonic()
        if self._is_brisk and _turn.acquire(blocking=False):
            try:
                while time.monotonic() - begun < _AWAKE:
                    try:
                        return self._stream.recv(limit, socket.MSG_DONTWAIT)
                    except BlockingIOError:
                        _yield()
            finally:
                _turn.release()
        data = self._stream.recv(limit)
        self._is_brisk = _has_room and time.monotonic() - begun < _AT_ONCE
        return data
