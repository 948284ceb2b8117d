"""The databases from which FreeBSD's C library reads users: it never looks at /etc/passwd itself.

Without them numeric ids work all the same, but `getpwuid` finds nobody. They are made by the
system's own `pwd_mkdb`, before any process of the build exists, in a directory that only root can
write to; a system without it (a double) goes without.
"""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterable

from fruix.sandbox.root_skeleton import make_files
from fruix.sandbox.spec import File

_PROGRAM = "/usr/sbin/pwd_mkdb"
_PASSWD, _MASTER = "/etc/passwd", "/etc/master.passwd"


def make_databases(files: Iterable[File], root: str) -> None:
    """For the users in the generated /etc/passwd, if there is one; `root` is the current directory.

    Raises:
        OSError: the program failed; with what it said.
    """
    passwd = next((file for file in files if file.path == _PASSWD), None)
    if passwd is None or not os.path.exists(_PROGRAM):
        return
    make_files([File(_MASTER, master_of(passwd.data), 0o600)])
    done = subprocess.run(
        [_PROGRAM, "-d", f"{root}/etc", f"{root}{_MASTER}"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip()
        raise OSError(errno.EIO, f"{os.strerror(errno.EIO)}: {_PROGRAM}: {said}")


def master_of(passwd: bytes) -> bytes:
    """The lines of passwd(5) in the form of master.passwd: three fields more, and no passwords."""
    rows = [line.split(b":") for line in passwd.splitlines() if line]
    return b"".join(b":".join([row[0], b"*", *row[2:4], b"", b"0", b"0", *row[4:]]) + b"\n" for row in rows)
