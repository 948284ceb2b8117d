"""Run a command as an ordinary user with a home of its own; for tests of the mode without root, by root.

    python tests/ordinary_user.py [--subordinate-ids] COMMAND ARGUMENT…

`--subordinate-ids` also delegates a cgroup to it, so that there is one kind of user who has
nothing, and one who has all.

The user has no entry in the host's files. In a private mount namespace it gets one (and subordinate
ids, if asked for), and the interpreter and this project are made reachable if they lie in a
directory that only root may enter. One supplementary group stays, as users have.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from fruix.sandbox.linux import libc
from fruix.sandbox.linux.cgroup import Cgroup, CgroupParent

UID, GID, GROUP = 12345, 12347, 12346
NAME = "fruix-test"
FIRST_SUBORDINATE = 700000
PROJECT = Path(__file__).resolve().parent.parent


def run(
    command: Sequence[str], *, subordinate_ids: bool = False, capture: bool = True, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run it, with variables `more`; the home is gone afterwards. `capture`: its output, instead of ours."""
    with tempfile.TemporaryDirectory(prefix="frx-home-", ignore_cleanup_errors=True) as home:
        os.chmod(home, 0o755)
        os.chown(home, UID, GID)
        flags = ["--subordinate-ids"] if subordinate_ids else []
        done = subprocess.run(
            [sys.executable, __file__, *flags, "--home", home, *command],
            capture_output=capture,
            text=True,
            check=False,
            env={**_environment(home), **more},
        )
        _remove_cgroups()
        subprocess.run(["chmod", "-R", "u+rwX", home], check=True)
        shutil.rmtree(home)
        return done


def _environment(home: str) -> dict[str, str]:
    kept = {
        name: os.environ[name] for name in ("CI", "LANG", "FRUIX_SOURCES", "http_proxy") if name in os.environ
    }
    path = os.pathsep.join([os.path.dirname(sys.executable), "/usr/local/bin", "/usr/bin", "/bin"])
    return {
        **kept,
        "PATH": path,
        "HOME": home,
        "PYTEST_ADDOPTS": f"--basetemp={home}/t",
        "HYPOTHESIS_STORAGE_DIRECTORY": f"{home}/.hypothesis",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }


def _become(command: Sequence[str], *, subordinate_ids: bool) -> None:
    libc.unshare(libc.CLONE_NEWNS)
    libc.mount(None, b"/", None, libc.MS_REC | libc.MS_PRIVATE)
    _add_lines("/etc/passwd", f"{NAME}:x:{UID}:{GID}::{os.environ['HOME']}:/bin/sh\n")
    if subordinate_ids:
        for file in ("/etc/subuid", "/etc/subgid"):
            _add_lines(file, f"{NAME}:{FIRST_SUBORDINATE}:65536\n")
        _delegate_cgroup()
    _make_tun_usable()
    _hide_store()
    for path in {str(PROJECT), sys.prefix, sys.base_prefix}:
        _make_reachable(path)
    os.setgroups([GROUP])
    os.setresgid(GID, GID, GID)
    os.setresuid(UID, UID, UID)
    os.execvp(command[0], list(command))


def _add_lines(file: str, text: str) -> None:
    """In this mount namespace alone."""
    with tempfile.NamedTemporaryFile("w", delete=False) as copy:
        copy.write(Path(file).read_text() if os.path.exists(file) else "")
        copy.write(text)
    os.chmod(copy.name, 0o644)
    if not os.path.exists(file):
        Path(file).touch()
    libc.mount(copy.name.encode(), file.encode(), None, libc.MS_BIND)
    os.unlink(copy.name)


def _hide_store() -> None:
    """Where there is `/frx` the user gets an empty one.

    A store and a daemon of the machine's own are none of this user's.
    """
    if os.path.isdir("/frx"):
        libc.mount(b"tmpfs", b"/frx", b"tmpfs", 0, b"mode=755,size=1m")


def _make_tun_usable() -> None:
    """As most hosts have it: for everybody."""
    with tempfile.TemporaryDirectory() as place:
        libc.mount(b"tmpfs", place.encode(), b"tmpfs", 0, b"mode=755")
        os.mknod(f"{place}/tun", 0o020600, os.stat("/dev/net/tun").st_rdev)
        os.chmod(f"{place}/tun", 0o666)
        libc.mount(f"{place}/tun".encode(), b"/dev/net/tun", None, libc.MS_BIND)
        libc.umount(place.encode(), libc.MNT_DETACH)


def _delegate_cgroup() -> None:
    """As a service manager does for a user's services, where there are groups at all."""
    parent = CgroupParent.find()
    if parent is None:
        return
    group = parent.create(f"{NAME}-{os.getpid()}")
    group.add(os.getpid())
    for name in ("", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"):
        os.chown(f"{group.path}/{name}", UID, GID)


def _remove_cgroups() -> None:
    """Those that were delegated, when their user has gone."""
    parent = CgroupParent.find()
    for path in Path(parent.path).glob(f"{NAME}-*") if parent else ():
        group = Cgroup(str(path))
        group.kill()
        group.wait_empty(10)
        group.remove()


def _make_reachable(path: str) -> None:
    """Cover the first directory on the way that others may not enter by one in which `path` alone is."""
    for parent in reversed(Path(path).parents):
        if not parent.stat().st_mode & 0o001:
            kept = os.open(path, os.O_PATH | os.O_DIRECTORY)
            libc.mount(b"tmpfs", str(parent).encode(), b"tmpfs", 0, b"mode=755")
            os.makedirs(path)
            libc.mount(b"/proc/self/fd/%d" % kept, path.encode(), None, libc.MS_BIND | libc.MS_REC)
            os.close(kept)
            return


def main(words: list[str]) -> None:
    """The command line; `--home` is for `run`."""
    subordinate_ids = words[:1] == ["--subordinate-ids"]
    words = words[subordinate_ids:]
    if words[:1] == ["--home"]:
        _become(words[2:], subordinate_ids=subordinate_ids)
    sys.exit(run(words, subordinate_ids=subordinate_ids, capture=False).returncode)


if __name__ == "__main__":
    main(sys.argv[1:])
