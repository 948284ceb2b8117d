"""What a running sandbox uses now.

The figures are those of its cgroup, or, where it has none, summed over the processes of its
namespace.

A cgroup costs three small reads. What its controllers don't say is summed over its processes, two
reads each; without a cgroup every process of the machine is looked at. Then processor time is that
of the living and of the dead they have waited for, memory is what is resident and not shared with a
file. Threads count as processes, as they do for the limits.

Files: cgroup-v2.rst and proc(5).
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterable

from fruix.sandbox.back_ends import Usage
from fruix.sandbox.linux.cgroup import mount_point
from fruix.sandbox.linux.kernel_files import text_of
from fruix.sandbox.spec import PREFIX


def read_usage(pid: int) -> Usage | None:
    """What the sandbox of which `pid` is a process uses; None if it has ended."""
    group = _group_of(pid)
    cpu, memory, processes = _of_group(group) if group else (None, None, None)
    if cpu is None or memory is None or processes is None:
        found = _of_members(group) if group else _of_namespace(pid)
        if found is None:
            return None
        cpu, memory, processes = (
            own if own is not None else summed
            for own, summed in zip((cpu, memory, processes), found, strict=True)
        )
    return Usage(cpu, memory, processes)


def _group_of(pid: int) -> str | None:
    """The sandbox's own group; a sandbox without one is in the daemon's, which is none of its."""
    for line in text_of(f"/proc/{pid}/cgroup").splitlines():
        group = line.removeprefix("0::")
        if group != line and group.rpartition("/")[2].startswith(PREFIX):
            mount = mount_point()
            return f"{mount}{group}" if mount else None
    return None


def _of_group(path: str) -> tuple[int | None, int | None, int | None]:
    """What the controllers that are delegated here say."""
    times = dict(line.split(" ", 1) for line in text_of(f"{path}/cpu.stat").splitlines() if " " in line)
    return (
        _number(times.get("usage_usec", "")),
        _number(text_of(f"{path}/memory.current")),
        _number(text_of(f"{path}/pids.current")),
    )


def _number(text: str) -> int | None:
    return int(text) if text.strip().isdecimal() else None


def _of_members(group: str) -> tuple[int, int, int] | None:
    return _sum(map(_of_process, text_of(f"{group}/cgroup.procs").split()))


def _of_namespace(pid: int) -> tuple[int, int, int] | None:
    try:
        namespace = os.stat(f"/proc/{pid}/ns/pid").st_ino
    except OSError:
        return None
    processes = filter(str.isdecimal, os.listdir("/proc"))
    return _sum(_of_process(name) for name in processes if _is_in(name, namespace))


def _is_in(name: str, namespace: int) -> bool:
    try:
        return os.stat(f"/proc/{name}/ns/pid").st_ino == namespace
    except OSError:
        return False  # it has just ended


def _sum(all_figures: Iterable[tuple[int, int, int] | None]) -> tuple[int, int, int] | None:
    cpu = memory = count = 0
    for figures in all_figures:
        if figures is not None:
            cpu, memory, count = cpu + figures[0], memory + figures[1], count + figures[2]
    return (cpu, memory, count) if count else None


def _of_process(name: str) -> tuple[int, int, int] | None:
    try:
        with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
            # The second field is the program's name in parentheses, which may hold anything.
            fields = file.read().rpartition(")")[2].split()
        with open(f"/proc/{name}/statm", encoding="utf-8") as file:
            _, resident, shared, *_ = map(int, file.read().split())
    except OSError:
        return None  # it has just ended
    ticks = sum(int(field) for field in fields[11:15])  # utime, stime, cutime, cstime
    microseconds = ticks * 1_000_000 // os.sysconf("SC_CLK_TCK")
    return microseconds, (resident - shared) * resource.getpagesize(), int(fields[17])
