"""The databases from which FreeBSD's C library reads users: it never looks at /etc/passwd itself.

Without them numeric ids work all the same, but `getpwuid` finds nobody. They are made by the
system's own `pwd_mkdb`, before any process of the build exists, in a directory that only root can
enter; a system without it (a double) goes without. They follow from the generated passwd alone, so
they are made once for each (which is for each contract and build user) and copied from then on.

    builds/users/HASH/{master.passwd,pwd.db,spwd.db}    HASH: of the master.passwd
    builds/users/new/                                   being made, or left by a crash
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterable

from fruix.atomic_file import sync_path
from fruix.sandbox.root_skeleton import make_files
from fruix.sandbox.spec import File

_PROGRAM = "/usr/sbin/pwd_mkdb"
_LISTED = "/etc/passwd"
_MADE = {"master.passwd": 0o600, "pwd.db": 0o644, "spwd.db": 0o600}
DIRECTORY, _NEW = "users", "new"


def make_databases(files: Iterable[File], kept: str) -> None:
    """For the users in the generated /etc/passwd, if there is one, in the root that is the current directory.

    `kept`: the directory of those that have been made.

    Raises:
        OSError: the program failed; with what it said.
    """
    passwd = next((file for file in files if file.path == _LISTED), None)
    if passwd is None or not os.path.exists(_PROGRAM):
        return
    master = master_of(passwd.data)
    place = f"{kept}/{hashlib.sha256(master).hexdigest()[:32]}"
    os.makedirs(kept, mode=0o700, exist_ok=True)
    lock = os.open(kept, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.isdir(place):
            _make(master, f"{kept}/{_NEW}")
            os.rename(f"{kept}/{_NEW}", place)
    finally:
        os.close(lock)
    make_files(File(f"/etc/{name}", _contents(f"{place}/{name}"), mode) for name, mode in _MADE.items())


def _contents(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _make(master: bytes, new: str) -> None:
    """Have them in a directory of that name, and on the disk."""
    if os.path.lexists(new):
        shutil.rmtree(new)
    os.mkdir(new, 0o700)
    with open(f"{new}/master.passwd", "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(master)
    done = subprocess.run(
        [_PROGRAM, "-d", new, f"{new}/master.passwd"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip()
        raise OSError(errno.EIO, f"{os.strerror(errno.EIO)}: {_PROGRAM}: {said}")
    for name in (*_MADE, ""):
        sync_path(f"{new}/{name}")


def master_of(passwd: bytes) -> bytes:
    """The lines of passwd(5) in the form of master.passwd: three fields more, and no passwords."""
    rows = [line.split(b":") for line in passwd.splitlines() if line]
    return b"".join(b":".join([row[0], b"*", *row[2:4], b"", b"0", b"0", *row[4:]]) + b"\n" for row in rows)
