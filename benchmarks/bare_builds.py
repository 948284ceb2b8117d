#!/usr/bin/env python3
"""bare_builds.py DIRECTORY BUILDS JOBS: the least that trivial sandboxed builds cost a program in Python.

A small process makes the calls of the system that a sandbox of Fruix takes, with constants as arguments and
nothing between them: no specification, no checks, no journal, no database, no client. A first process is
cloned and takes the early steps (`parked`), then hears a word, takes the others and becomes the builder;
the parent waits for its end, takes the output by a rename, and deletes the directories. What it needs is
what the kernel and the interpreter need. As root, on Linux x86_64, with busybox.

Prints medians and least figures in microseconds, wall clock: `ahead` is from the clone to the moment when
the child waits for the word, `set-up` from the word to its exec, `builder` from there to its end, `output`
to the rename; `whole` is from the word to the rename. With JOBS (else 0) so many processes build with a
fresh child each, and what all took is printed: cloning, early steps and directories are part of that.
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import resource
import shutil
import signal
import socket
import statistics
import struct
import sys
import tempfile
import time
from collections.abc import Mapping

from bare_common import UID, delete_directories, make_directories
from fruix.sandbox.linux import seccomp

_libc = ctypes.CDLL(None, use_errno=True)
_call = _libc.syscall
_call.restype = ctypes.c_long
_call.argtypes = (ctypes.c_long, *(ctypes.c_void_p,) * 6)
_holding = ctypes.PyDLL(None).syscall  # keeps the interpreter's lock, for a fork
_CLONE, _OPEN_TREE, _MOVE_MOUNT, _SETATTR, _CLOSE_RANGE = 435, 428, 429, 442, 436
_MOUNT, _UMOUNT, _PIVOT, _PRCTL, _CAPSET, _SECCOMP = 165, 166, 155, 157, 126, 317
_KEYCTL, _UNSHARE, _HOST, _DOMAIN, _PERSONALITY = 250, 272, 170, 171, 135
_LANDLOCK, _RESTRICT = 444, 446
_NEW_USER, _NEW_CGROUP, _INTO_GROUP = 0x10000000, 0x2000000, 0x200000000
_SPACES = 0x20000 | 0x4000000 | 0x8000000 | 0x20000000 | 0x40000000  # mount, UTS, IPC, PID, network
_RECURSIVE, _HERE = 0x8000, ctypes.c_void_p(-100)
_READ_ONLY, _SEALED, _DEVICE = 1, 1 | 2 | 4, 2 | 8
_DEVICES = ("full", "null", "random", "tty", "urandom", "zero")
_LINKS = ("fd", "stdin", "stdout", "stderr", "ptmx")
_FILES = dict.fromkeys(("group", "hosts", "passwd"), "root:x:0:\n")
_LIMITS = [getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")]
_FILTER = seccomp.build_filter()
_CODE = ctypes.create_string_buffer(_FILTER, len(_FILTER))
_PROGRAM = struct.pack("=HxxxxxxQ", len(_FILTER) // 8, ctypes.addressof(_CODE))


def call(number: int, *arguments: object) -> int:
    """A call of the system, which has to succeed."""
    result: int = _call(number, *arguments, *(None,) * (6 - len(arguments)))
    if result < 0:
        raise OSError(ctypes.get_errno(), f"call {number}")
    return result


def _mount(source: bytes | None, target: bytes, kind: bytes | None, flags: int, data: bytes = b"") -> None:
    call(_MOUNT, source, target, kind, flags, data or None)


def _attributes(path: bytes, flags: int, add: int, clear: int = 0) -> None:
    call(_SETATTR, _HERE, path, flags, struct.pack("=QQQQ", add, clear, 0, 0), 32)


def _write(path: str, data: bytes, flags: int = os.O_WRONLY) -> None:
    descriptor = os.open(path, flags, 0o644)
    os.write(descriptor, data)
    os.close(descriptor)


def ahead(base: str) -> None:
    """What can be done before there is a build."""
    os.setsid()
    _write("/proc/self/oom_score_adj", b"500")
    call(_KEYCTL, 1, None)
    _mount(None, b"/", None, 16384 | 1 << 18)
    _mount(b"tmpfs", f"{base}/root".encode(), b"tmpfs", 6, b"mode=755,size=16m,nr_inodes=100k")
    os.chdir(f"{base}/root")
    for path in ("dev", "dev/pts", "dev/shm", "proc", "etc"):
        os.mkdir(path, 0o755)
    for name in _LINKS:
        os.symlink("/proc/self/fd", f"dev/{name}")
    control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    fcntl.ioctl(control, 0x8914, struct.pack("16sh22x", b"lo", 1 | 8 | 64))
    control.close()
    call(_UNSHARE, _NEW_CGROUP)


def mounts(
    base: str,
    shell: str,
    log: int,
    store: str = "frx/store",
    seen: str = "shell",
    files: Mapping[str, str] = _FILES,
) -> None:
    """Files, binds, devices, and the switch of the root; the shell is `seen` in `store` there."""
    os.dup2(log, 1)
    os.dup2(log, 2)
    for name in _DEVICES:
        os.mknod(f"dev/{name}", 0o100666)
    for name, text in files.items():
        _write(f"etc/{name}", text.encode(), os.O_WRONLY | os.O_CREAT)
    os.makedirs(os.path.dirname(store))
    for source, target in (
        (f"{base}/store", store), (f"{base}/tmp", "tmp"), (f"{base}/build", "build"),
        (shell, f"{store}/{seen}"),
    ):  # fmt: skip
        tree = call(_OPEN_TREE, _HERE, source.encode(), 1 | _RECURSIVE | os.O_CLOEXEC)
        os.mkdir(target, 0o755)
        call(_MOVE_MOUNT, tree, b"", _HERE, target.encode(), 4)
        os.close(tree)
    _attributes(b".", _RECURSIVE, _SEALED)
    for path in (store.encode(), b"tmp", b"build"):
        _attributes(path, 0, 0, _READ_ONLY)
    for name in _DEVICES:
        _mount(f"/dev/{name}".encode(), f"dev/{name}".encode(), None, 4096)
        _attributes(f"dev/{name}".encode(), 0, _DEVICE)
    _mount(b"devpts", b"dev/pts", b"devpts", 2 | 8, b"newinstance,ptmxmode=0666,mode=0620")
    _mount(b"tmpfs", b"dev/shm", b"tmpfs", 6, b"mode=1777,size=50%")
    call(_HOST, b"localhost", 9)
    call(_DOMAIN, b"(none)", 6)
    _mount(b"proc", b"proc", b"proc", 14)
    call(_PIVOT, b".", b".")
    call(_UMOUNT, b".", 2)
    os.chdir("/")
    os.dup2(os.open("/dev/null", os.O_RDONLY), 0)


def powers() -> None:
    """Ids, capabilities, Landlock, the filter."""
    os.setgroups(())
    os.setresgid(UID, UID, UID)
    os.setresuid(UID, UID, UID)
    call(_PRCTL, 4, 1)
    call(_UNSHARE, _NEW_USER)
    _write("/proc/self/setgroups", b"deny")
    _write("/proc/self/uid_map", b"1000 %d 1" % UID)
    _write("/proc/self/gid_map", b"100 %d 1" % UID)
    call(_PRCTL, 4, 0)
    call(_PRCTL, 1, signal.SIGKILL)
    os.umask(0o022)
    for kind in _LIMITS:
        resource.setrlimit(kind, resource.getrlimit(kind))
    for capability in range(41):
        call(_PRCTL, 24, capability)
    call(_PRCTL, 47, 4)
    call(_CAPSET, ctypes.create_string_buffer(struct.pack("=Ii", 0x20080522, 0), 8), bytes(24))
    call(_PRCTL, 38, 1)
    with open("/proc/self/status", "rb") as status:
        sets = status.read().partition(b"\nCapInh:")[2].split()[:9:2]
    assert not any(int(words, 16) for words in sets), sets
    assert os.getresuid() == (1000,) * 3
    assert os.getresgid() == (100,) * 3
    call(_PERSONALITY, 0x40000)
    rules = call(_LANDLOCK, ctypes.create_string_buffer(struct.pack("=QQQ", 0, 0, 3), 24), 24, 0)
    call(_RESTRICT, rules, 0)
    call(_SECCOMP, 1, 0, _PROGRAM)
    call(_CLOSE_RANGE, 3, 0xFFFFFFFF, 4)


def child(base: str, shell: str, word: int, log: int, stamps: mmap.mmap) -> None:
    """The first process of a sandbox, to its exec."""
    ahead(base)
    stamps[:8] = struct.pack("=d", time.perf_counter())
    os.read(word, 1)
    mounts(base, shell, log)
    powers()
    os.chdir("/build")
    stamps[8:16] = struct.pack("=d", time.perf_counter())
    os.execve("/frx/store/shell/sh", ("sh", "-c", "echo hi > $out"), {"out": "/frx/store/out"})  # noqa: S606


def clone(flags: int, signal_: int, group: int = -1) -> int:
    """Clone a process into namespaces of its own, like `os.fork`.

    `signal_`: which tells of its end. `group`: the open control group that it is born in; -1: this one's.
    """
    if group >= 0:
        flags |= _INTO_GROUP
    arguments = struct.pack("=11Q", _SPACES | flags, 0, 0, 0, signal_, 0, 0, 0, 0, 0, max(group, 0))
    pid: int = _holding(_CLONE, arguments, ctypes.c_size_t(len(arguments)))
    if pid == 0:
        ctypes.pythonapi.PyOS_AfterFork_Child()
    return pid


def build(place: str, number: int, log: int, stamps: mmap.mmap, wait: float) -> dict[str, float]:
    """One build, in seconds: the times of its parts. `wait`: before the word, so that the child is ready."""
    base = f"{place}/b{number}"
    make_directories(base)
    hears, says = os.pipe()
    begun = time.perf_counter()
    if (pid := clone(0, signal.SIGCHLD)) == 0:
        try:
            child(base, f"{place}/shell", hears, log, stamps)
        finally:
            os._exit(127)
    if wait:
        time.sleep(wait)
    word = time.perf_counter()
    os.write(says, b"x")
    _, status = os.waitpid(pid, 0)
    ended = time.perf_counter()
    os.rename(f"{base}/store/out", f"{place}/out-{os.getpid()}-{number}")
    taken = time.perf_counter()
    assert status == 0, status
    for path in (hears, says):
        os.close(path)
    delete_directories(base)
    ready, gone = struct.unpack("=dd", stamps[:16])
    return {
        "ahead": ready - begun, "set-up": gone - word, "builder": ended - gone, "output": taken - ended,
        "whole": taken - word,
    }  # fmt: skip


def one_by_one(place: str, builds: int) -> None:
    """Build with a child that stands ready, and print what it took."""
    found: dict[str, list[float]] = {}
    stamps, log = mmap.mmap(-1, mmap.PAGESIZE), os.open("/dev/null", os.O_WRONLY)
    for number in range(builds):
        for name, seconds in build(place, number, log, stamps, 0.02).items():
            found.setdefault(name, []).append(seconds * 1e6)
    for name, values in found.items():
        print(f"{name:8} median {statistics.median(values):8.0f}  least {min(values):8.0f}")


def together(place: str, builds: int, jobs: int) -> None:
    """Build with a fresh child each, in several processes, and print what all took."""
    begun = time.perf_counter()
    for job in range(jobs):
        if os.fork() == 0:
            stamps, log = mmap.mmap(-1, mmap.PAGESIZE), os.open("/dev/null", os.O_WRONLY)
            os.mkdir(f"{place}/{job}")
            os.symlink("../shell", f"{place}/{job}/shell")
            for number in range(builds // jobs):
                build(f"{place}/{job}", number, log, stamps, 0)
            os._exit(0)
    assert all(os.wait()[1] == 0 for _ in range(jobs))
    print(f"all      median {(time.perf_counter() - begun) * 1e6:8.0f}")


def main(directory: str, builds: int, jobs: int) -> None:
    """Build below a fresh directory in `directory`."""
    with tempfile.TemporaryDirectory(dir=directory) as place:
        os.chmod(place, 0o755)  # noqa: S103 - the builder passes through it
        os.mkdir(f"{place}/shell")
        shutil.copy("/bin/busybox", f"{place}/shell/sh")
        if jobs:
            together(place, builds, jobs)
        else:
            one_by_one(place, builds)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
