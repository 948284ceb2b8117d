"""Many connections of one user who is not root, as a process of that user."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NOBODY = 65534
# Opens connections and says nothing; "open" on a line of its own when all are there; stays until
# its input ends.
_SCRIPT = """
import socket, sys
crowd = []
for _ in range(int(sys.argv[2])):
    one = socket.socket(socket.AF_UNIX)
    one.connect(sys.argv[1])
    crowd.append(one)
print("open", flush=True)
for line in sys.stdin:
    crowd[int(line)].settimeout(60)
    print(crowd[int(line)].recv(1000).hex(), flush=True)
"""


@contextmanager
def open_to_all() -> Iterator[Path]:
    """A directory that other users can enter, unlike those that pytest makes."""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        yield Path(directory)


class Crowd:
    """Connections that are held by another process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def received(self, number: int) -> bytes:
        """What one of them gets to read first, at most 1000 bytes."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{number}\n")
        self._process.stdin.flush()
        return bytes.fromhex(self._process.stdout.readline())


@contextmanager
def crowd(path: str, count: int, uid: int = NOBODY) -> Iterator[Crowd]:
    """Connections of that user, open during the context."""
    process = subprocess.Popen(
        ["/usr/bin/python3", "-c", _SCRIPT, path, str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        user=uid,
        group=uid,
        extra_groups=[],
    )
    try:
        assert process.stdout
        assert process.stdout.readline() == "open\n"
        yield Crowd(process)
    finally:
        process.kill()
        process.communicate()


def threads() -> int:
    """How many this process has."""
    return len(os.listdir("/proc/self/task"))


def descriptors() -> int:
    """How many this process has open."""
    return len(os.listdir("/proc/self/fd"))
