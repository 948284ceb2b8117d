"""What running processes use."""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fruix.model.garbage import Goal, Keep
from fruix.model.storepath import StorePath
from fruix.store.collection import processes_freebsd, runtime_roots
from fruix.store.local import LocalStore

PATIENCE = 60
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="machine: no /proc")


@pytest.fixture
def paths(store: LocalStore) -> list[StorePath]:
    with store.temp_roots.session():
        return [store.add_text(name, b"x" * mmap.PAGESIZE) for name in ("open", "mapped", "named", "other")]


@pytest.fixture
def process(store: LocalStore, paths: list[StorePath]) -> Iterator[int]:
    program = """
import mmap, os, sys
held = open(sys.argv[1], "rb")
with open(sys.argv[2], "rb") as file:
    mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
print("ready", flush=True)
sys.stdin.read()
"""
    opened, mapped, named, _ = map(str, paths)
    words = [sys.executable, "-c", program, opened, mapped]
    environment = {**os.environ, "SOME_PATH": f"/usr/bin:{named}/bin:/bin"}
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        yield child.pid
        child.kill()
        child.wait(PATIENCE)


@linux
def test_what_a_process_uses_is_not_collected(
    store: LocalStore, paths: list[StorePath], process: int
) -> None:
    opened, mapped, named, other = paths
    found = {(root.link, root.target) for root in store.find_roots()}
    assert (f"/proc/{process}/maps", mapped) in found
    assert (f"/proc/{process}/environ", named) in found
    assert any(link.startswith(f"/proc/{process}/fd/") and path == opened for link, path in found)
    assert store.collect(Keep(), Goal()).deleted == 1
    assert not store.is_valid(other)


def test_places_of_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """As FreeBSD's answers hold names: bytes before and after, ended by NUL."""
    store = "/frx/store"
    one, two = (StorePath.of(store, f"{letter * 32}-x") for letter in "ab")
    record = struct.pack("ii64x", 128, 0) + struct.pack("i", 77) + bytes(52)
    answers = {
        (8,): record + record.replace(struct.pack("i", 77), struct.pack("i", 78)),
        (12, 77): f"{one}/bin/sh".encode() + b"\0",
        (33, 78): b"\x88\0\0\0junk" + str(two).encode() + b"\0" * 9 + b"/frx/store/short",
    }
    monkeypatch.setattr(processes_freebsd, "ask", lambda question: answers.get(tuple(question), b""))
    monkeypatch.setattr(sys, "platform", "freebsd14")
    assert list(runtime_roots.runtime_roots(store)) == [("/proc/77/exe", one), ("/proc/78/fd", two)]


def test_arguments_of_sysctl(monkeypatch: pytest.MonkeyPatch) -> None:
    """The size is asked for first; an answer that has grown meanwhile is asked for again."""
    calls: list[tuple[list[int], int]] = []

    class Libc:
        def __init__(self, *_arguments: object, **_more: object) -> None:
            pass

        def sysctl(self, name: object, count: int, buffer: object, size: object, *_new: object) -> int:
            room = ctypes.cast(size, ctypes.POINTER(ctypes.c_size_t)).contents  # type: ignore[arg-type]
            calls.append((list(name), count))  # type: ignore[call-overload]
            if buffer is None:
                room.value = 5
            elif len(calls) < 4:
                return -1
            else:
                ctypes.memmove(buffer, b"found", 5)  # type: ignore[arg-type]
                room.value = 5
            return 0

    monkeypatch.setattr(ctypes, "CDLL", Libc)
    assert processes_freebsd.ask((33, 1234)) == b"found"
    assert calls == [([1, 14, 33, 1234], 4)] * 4


def test_a_directory_that_nobody_may_look_into(tmp_path: Path) -> None:
    assert list(runtime_roots._process(str(tmp_path))) == []
