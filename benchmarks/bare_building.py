"""The least that a whole trivial build costs a daemon in Python that promises what Fruix does.

For `bare_daemon.py`, which serves it. `bare_builds.py` has what a sandbox takes; this stands around it:

* a build is no client's own: a thread of its own runs it, as it has to if several may wait for it
* the derivation is read; the database is asked what is valid, and the file system whether that is there
* the output is locked, in a file that may be deleted meanwhile, and protected from collections of garbage
* a build user is taken that no other daemon has, and of whom no process is left
* what would be left by a crash is noted
* the sandbox gets a specification; it tells which step fails, and looks that nothing of root's power is left
* the builder's output and end are waited for together, the output is packed as a log
* what it made is looked at by descriptors, made canonical, hashed, scanned for references, moved, registered
* a record is written, and a client of Nix is told what nix-daemon tells it
* processes are what the design of Fruix decides: the daemon never forks, a small one does (`bare_spawner.py`)
* what can wait comes after the answer; the next sandbox is made ahead

It does so for files that are what they should be: nothing that could be otherwise has a branch, no setting is
looked up, no build is queued, nothing is brought to disk.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import queue
import re
import select
import socket
import stat
import threading
import time
import zlib
from typing import TYPE_CHECKING

from bare_common import UID, delete_directories, file_archive, make_directories, number, string
from bare_plans import read, valid_of
from bare_spawner import RUNNING, Spawner

if TYPE_CHECKING:
    from bare_daemon import Store

_STRING = re.compile(rb'"((?:[^"\\]|\\.)*)"')
_MOST = 1 << 16
_JOBS = 2
_START, _STOP, _RESULT = 0x53545254, 0x53544F50, 0x52534C54
_REALISE, _COPY_PATHS, _BUILDS, _BUILD, _COPY, _TRANSFER = 102, 103, 104, 105, 100, 101  # activities
_PROGRESS, _EXPECTED = 105, 106  # their results

Left = tuple[str, str]
"""What is left of a build: its directory, and the name of its input there."""


class _Told:
    """What the client of one request is told."""

    def __init__(self, many: int) -> None:
        self._many, self._done, self._last = many, 0, 4
        starts = (_start(1, 0, _REALISE), _start(2, 0, _BUILDS), _start(3, 0, _COPY_PATHS))
        expected = (_result(1, _EXPECTED, _TRANSFER, 0), _result(1, _EXPECTED, _COPY, 0))
        self.pieces = [*starts, *expected]
        self._turn = threading.Lock()

    def begin(self, drv: str) -> int:
        """A build has begun; its activity."""
        with self._turn:
            self._last += 1
            self.pieces += (
                _start(self._last, 3, _BUILD, f"building '{drv}'", drv),
                self._counted(1),
                _NO_COPIES,
            )
            return self._last

    def end(self, activity: int) -> None:
        """It has ended."""
        with self._turn:
            self._done += 1
            self.pieces += (
                self._counted(0),
                _NO_COPIES,
                number(_STOP) + number(activity),
            )

    def all(self) -> bytes:
        """All of it, when the request has been done."""
        return b"".join([*self.pieces, *(number(_STOP) + number(activity) for activity in (3, 2, 1))])

    def _counted(self, running: int) -> bytes:
        return _result(2, _PROGRESS, self._done, self._many, running, 0)


class Building:
    """Builds derivations of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._place = os.path.dirname(store.directory)
        for name in ("builds", "logs", "users", "notes"):
            os.mkdir(f"{self._place}/{name}")
        self._ready: list[str] = []  # directories of those that are made ahead
        self._users = [*range(_JOBS)]
        self._made = 0
        self._turn = threading.Lock()
        self._spawner = Spawner()
        self._asked = queue.SimpleQueue[tuple[str, _Told, queue.SimpleQueue[Left]]]()
        for _ in range(_JOBS):
            threading.Thread(target=self._work, daemon=True).start()

    def build(self, paths: list[bytes]) -> tuple[bytes, list[Left]]:
        """Build them all, two at a time; what the client is told, and what is left to be tidied up."""
        told, ended = _Told(len(paths)), queue.SimpleQueue[Left]()
        for path in paths:
            self._asked.put((path.decode(), told, ended))
        left = [ended.get() for _ in paths]
        return told.all(), left

    def _work(self) -> None:
        while True:
            path, told, ended = self._asked.get()
            ended.put(self._build(path, told))

    def tidy(self, left: list[Left]) -> None:
        """What comes after the answer."""
        for base, name in left:
            delete_directories(base, name)
            os.unlink(f"{self._place}/notes/{os.path.basename(base)}")

    def _build(self, path: str, told: _Told) -> Left:
        text = read(self._store.place, path.encode())
        words = [word.replace(rb"\"", b'"').decode() for word in _STRING.findall(text)]
        # ([("out",path,"","")],[],[source],system,builder,[arguments],[variables])
        output, source = words[1], words[4]
        self._store.protect(output.encode())
        lock = self._lock(output)
        self._look_at(source, output)
        user, slot = self._take_user()
        base = self._ready.pop() if self._ready else self._make()
        name = output.rpartition("/")[2]
        _write(f"{self._place}/notes/{os.path.basename(base)}", json.dumps([output, path, UID]).encode())
        specification = {
            "store": self._store.directory, "source": source, "builder": words[6], "arguments": words[7:9],
            "environment": dict(zip(words[9::2], words[10::2], strict=True)),
            "files": {"group": "root:x:0:\n", "hosts": "127.0.0.1 x\n", "passwd": "root:x:0:0::/:/x\n"},
        }  # fmt: skip
        log, written = os.pipe()
        os.set_blocking(log, False)
        control = self._spawner.give(base, json.dumps(specification).encode(), written)
        os.close(written)
        activity = told.begin(path)
        self._ready.append(self._make())
        used = self._supervise(control, log, name)
        facts = self._register(f"{base}/store", name, path, output, [source, output])
        _write(
            f"{self._place}/logs/{name}.json",
            json.dumps({"drv": path, "user": UID, "used": used, **facts}).encode(),
        )
        os.unlink(f"{output}.lock")
        os.close(lock)
        os.ftruncate(slot, 0)
        os.close(slot)
        self._users.append(user)
        told.end(activity)
        return base, source.rpartition("/")[2]

    def _lock(self, output: str) -> int:
        lock = os.open(f"{output}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert os.fstat(lock).st_ino == os.lstat(f"{output}.lock").st_ino
        return lock

    def _look_at(self, source: str, output: str) -> None:
        """The source is there, the output is not."""
        with self._store.turn:
            valid = valid_of(self._store.database, [source.encode(), output.encode()])
        assert valid == [source.encode()], valid
        os.lstat(source)
        with contextlib.suppress(FileNotFoundError):
            os.lstat(output)
            raise FileExistsError(output)

    def _take_user(self) -> tuple[int, int]:
        user = self._users.pop()
        slot = os.open(f"{self._place}/users/{user}", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        fcntl.flock(slot, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.pwrite(slot, b"%d\n" % os.getpid(), 0)
        with contextlib.suppress(ProcessLookupError):
            # Of whom no process may be left. All builds here run as one, so an id is asked for that has none.
            os.getpriority(os.PRIO_USER, UID + 1 + user)
            raise AssertionError
        return user, slot

    def _make(self) -> str:
        """Have another sandbox made; its directory."""
        with self._turn:
            self._made += 1
            number = self._made
        base = f"{self._place}/builds/{number}"
        make_directories(base)
        self._spawner.make(base, number)
        return base

    def _supervise(self, control: socket.socket, output: int, name: str) -> str:
        """Pack what the builder writes, until it and all that it started have ended; what it used."""
        log = os.open(f"{self._place}/logs/{name}", os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        pack = zlib.compressobj(wbits=31)
        said = control.recv(_MOST)
        assert said == RUNNING, said
        poll = select.poll()
        poll.register(output, select.POLLIN)
        poll.register(control, select.POLLIN)
        ended = b""
        while not ended:
            ready_now = dict(poll.poll())
            if control.fileno() in ready_now:
                ended = control.recv(_MOST)
            if output in ready_now:
                with contextlib.suppress(BlockingIOError):
                    if data := os.read(output, _MOST):
                        os.write(log, pack.compress(data))
                    else:
                        poll.unregister(output)
        status, _, used = ended.decode().partition(" ")
        assert status == "0", status
        os.write(log, pack.flush())
        os.close(output)
        os.close(log)
        control.close()
        return used

    def _register(
        self, made: str, name: str, drv: str, output: str, candidates: list[str]
    ) -> dict[str, object]:
        """Take a file into the store; what is known of it."""
        place = os.open(made, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=place)
        found = os.fstat(file)
        assert stat.S_ISREG(found.st_mode)
        assert (found.st_nlink, found.st_uid) == (1, UID)
        os.fchown(file, 0, 0)
        os.fchmod(file, 0o444)
        os.utime(file, (1, 1))
        contents = os.read(file, found.st_size + 1)
        assert len(contents) == found.st_size
        os.close(file)
        archive = file_archive(contents)
        digest = hashlib.sha256(archive).digest()
        references = [path for path in candidates if path.rpartition("/")[2][:32].encode() in contents]
        os.rename(name, name, src_dir_fd=place, dst_dir_fd=self._store.place)
        os.close(place)
        listed = [path.encode() for path in references]
        self._store.register(output.encode(), digest, len(archive), listed, deriver=drv)
        return {"hash": digest.hex(), "size": len(archive), "references": references, "ended": time.time()}


def _start(activity: int, level: int, kind: int, text: str = "", *fields: str) -> bytes:
    values = b"".join(number(1) + string(value.encode()) for value in fields)
    return b"".join(
        (number(_START), number(activity), number(level), number(kind), string(text.encode()),
         number(len(fields)), values, number(0))
    )  # fmt: skip


def _result(activity: int, kind: int, *values: int) -> bytes:
    fields = b"".join(number(0) + number(value) for value in values)
    return number(_RESULT) + number(activity) + number(kind) + number(len(values)) + fields


_NO_COPIES = _result(3, _PROGRESS, 0, 0, 0, 0)


def _write(path: str, data: bytes) -> None:
    file = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    os.write(file, data)
    os.close(file)
    os.rename(f"{path}.new", path)
