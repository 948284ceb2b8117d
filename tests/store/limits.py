"""How large the cases are by which limits are tried, and the memory that they may take.

The whole sizes are tried with `FRUIX_LIMITS=full` in the environment; they take minutes and some
20 GiB of disk.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

FULL = os.environ.get("FRUIX_LIMITS") == "full"
LEVELS = 3000 if FULL else 700  # of names that make either longer than any path
FILES = 100_000 if FULL else 1_000
SPARSE = 10 << 30 if FULL else 128 << 20  # bytes
PATHS = 1_000_000 if FULL else 50_000


@contextmanager
def few_descriptors(more: int = 150) -> Iterator[None]:
    """Meanwhile no more than `more` files can be opened beyond those that are open already."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + more, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@contextmanager
def memory_below(most: int) -> Iterator[None]:
    """What is done meanwhile takes less memory of Python's at its peak."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < most, f"{peak} bytes, {most} are allowed"


def peak_of(script: str) -> int:
    """The peak memory in bytes of a Python process that runs the script with the paths of this one."""
    process = subprocess.Popen([sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{script}"])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss << 10
