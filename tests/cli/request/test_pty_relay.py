"""The relay between two terminals: the sandbox's and the person's, both pairs made here."""

from __future__ import annotations

import fcntl
import os
import struct
import termios
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from fruix.cli.request.pty_relay import END_OF_INPUT, relay
from waiting import read_until, until


def window(descriptor: int, *size: int) -> tuple[int, int]:
    if size:
        fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
    rows, columns, _, _ = struct.unpack("HHHH", fcntl.ioctl(descriptor, termios.TIOCGWINSZ, b"\0" * 8))
    return rows, columns


@contextmanager
def sandbox_terminal() -> Iterator[tuple[int, int]]:
    outer, inner = os.openpty()
    attributes = termios.tcgetattr(inner)
    attributes[3] &= ~termios.ECHO
    termios.tcsetattr(inner, termios.TCSANOW, attributes)
    yield outer, inner


def test_keys_go_in_and_screens_come_out() -> None:
    keyboard, person = os.openpty()
    before = termios.tcgetattr(person)
    window(person, 33, 77)
    with sandbox_terminal() as (outer, inner):
        seen: list[bytes] = []

        def inside() -> None:
            """What runs in the sandbox."""
            seen.append(read_until(inner, b"ls\n"))
            seen.append(repr(window(inner)).encode())
            seen.append(read_until(keyboard_echo, b"$ "))
            os.close(inner)

        keyboard_echo = os.dup(keyboard)
        os.write(inner, b"$ ")

        def type_keys() -> None:
            until(lambda: not termios.tcgetattr(person)[3] & termios.ICANON, "a terminal in raw mode")
            os.write(keyboard, b"ls\r")

        threads = [threading.Thread(target=inside), threading.Thread(target=type_keys)]
        for thread in threads:
            thread.start()
        relay(outer, person, person)  # in the main thread, as always: it takes a signal
        for thread in threads:
            thread.join()
    assert seen == [b"ls\n", b"(33, 77)", b"$ "]
    assert termios.tcgetattr(person) == before
    for descriptor in (keyboard, person, keyboard_echo):
        os.close(descriptor)
    with pytest.raises(OSError):
        os.fstat(outer)


@pytest.mark.parametrize("size", [0, 3, 300_000])
def test_a_pipe_as_input_ends_the_sandbox_s_input(size: int) -> None:
    given, feed = os.pipe()
    shown, show = os.pipe()
    line = b"x" * 99 + b"\n"
    text = (line * (size // 100 + 1))[:size]
    with sandbox_terminal() as (outer, inner):
        taken = bytearray()

        def inside() -> None:
            while data := os.read(inner, 4096):
                taken.extend(data)
            os.write(inner, b"bye\n")
            os.close(inner)

        def write() -> None:
            left = text
            while left:
                left = left[os.write(feed, left) :]
            os.close(feed)

        threads = [threading.Thread(target=work) for work in (inside, write)]
        for thread in threads:
            thread.start()
        relay(outer, given, show)
        for thread in threads:
            thread.join()
    os.close(show)
    assert os.read(shown, 100) == b"bye\n"  # no carriage return: nobody sits at it
    assert bytes(taken) == text
    os.close(given)
    os.close(shown)


def test_a_shell_that_takes_over_its_terminal_late_sees_the_end_of_input_too() -> None:
    given, feed = os.pipe()
    os.close(feed)
    shown, show = os.pipe()
    with sandbox_terminal() as (outer, inner):
        seen: list[bytes] = []

        def inside() -> None:
            """As line editors begin: what was typed before them is not theirs."""
            seen.append(os.read(inner, 1) + os.read(inner, 1))
            tty.setraw(inner, termios.TCSAFLUSH)
            seen.append(read_until(inner, END_OF_INPUT))
            os.close(inner)

        thread = threading.Thread(target=inside, daemon=True)
        thread.start()
        relay(outer, given, show)
        thread.join()
    assert seen == [b"", END_OF_INPUT]
    for descriptor in (given, shown, show):
        os.close(descriptor)


def test_a_sandbox_that_writes_without_reading() -> None:
    given, feed = os.pipe()
    shown, show = os.pipe()
    os.write(feed, b"never read\n" * 5000)
    total = 2_000_000
    with sandbox_terminal() as (outer, inner):

        def inside() -> None:
            left = total
            while left:
                left -= os.write(inner, b"y" * min(left, 4096))
            os.close(inner)

        counted: list[int] = []

        def count() -> None:
            counted.append(0)
            while data := os.read(shown, 1 << 16):
                counted[0] += len(data)

        threads = [threading.Thread(target=work) for work in (inside, count)]
        for thread in threads:
            thread.start()
        relay(outer, given, show)
        os.close(show)
        for thread in threads:
            thread.join()
    assert counted == [total]
    for descriptor in (given, feed, shown):
        os.close(descriptor)
