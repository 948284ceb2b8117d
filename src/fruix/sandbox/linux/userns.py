"""User namespaces for who isn't root: root's powers over nothing but one's own.

Also what keeps a host from granting them, in words.

The user becomes root of the namespace. Where the host has given it subordinate ids (`/etc/subuid`,
`/etc/subgid`) and the set-uid helpers `newuidmap` and `newgidmap`, build users get numbers of their
own from those; else there is but the user's own number, for everything. A namespace is entered
once, early, by a process that has one thread.

Formats: user_namespaces(7), subuid(5), newuidmap(1).
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable

from fruix.dataclass import dataclass
from fruix.errors import IsolationUnavailableError
from fruix.sandbox.linux.kernel_files import text_of, write_to

FIRST_BUILD_UID = 35001
MOST_BUILD_UIDS = 1024
FEWEST_BUILD_UIDS = 32
_ALL = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class Subordinates:
    """Ranges of ids on the host that this user may map: first uid, first gid, how many."""

    uid: int
    gid: int
    count: int


def become_root(*, subordinates: Subordinates | None) -> None:
    """Enter user and mount namespaces as their root.

    Raises:
        IsolationUnavailableError: the host doesn't allow it; says which setting of it.
    """
    uid, gid = os.geteuid(), os.getegid()
    if subordinates is None:
        _unshare()
        _write_maps(f"0 {uid} 1", f"0 {gid} 1")
        return
    mapper = _Mapper(subordinates, uid, gid)
    _unshare()
    mapper.map()


def stay_oneself() -> None:
    """Enter user and mount namespaces under the own numbers.

    The process has all powers there until the next exec, or `libc.drop_all_capabilities`.

    Raises:
        IsolationUnavailableError: as for `become_root`.
    """
    uid, gid = os.geteuid(), os.getegid()
    _unshare()
    _write_maps(f"{uid} {uid} 1", f"{gid} {gid} 1")


def find_subordinates() -> Subordinates | None:
    """This user's subordinate ids, if builds can use them.

    There have to be enough, and the helpers have to be there and set-uid to somebody who exists
    here.
    """
    if _outside("uid", 0) is None:
        return None
    import shutil  # noqa: PLC0415 - seldom needed

    if shutil.which("newuidmap") is None or shutil.which("newgidmap") is None:
        return None
    uids, gids = _range("/etc/subuid"), _range("/etc/subgid")
    count = min(uids[1], gids[1], MOST_BUILD_UIDS)
    return Subordinates(uids[0], gids[0], count) if count >= FEWEST_BUILD_UIDS else None


def confined() -> bool:
    """Whether this process lives in a user namespace, not the host's own."""
    return _ranges("uid") != [(0, 0, _ALL)]


def has_users(uids: tuple[int, ...]) -> bool:
    """Whether all of these ids exist in this user namespace, as users and as groups."""
    return all(_outside(kind, one) is not None for kind in ("uid", "gid") for one in uids)


def on_host(uid: int, gid: int) -> tuple[int, int]:
    """What these ids are one namespace further out, the host's as a rule; those that aren't mapped stay."""
    outside_uid, outside_gid = _outside("uid", uid), _outside("gid", gid)
    return uid if outside_uid is None else outside_uid, gid if outside_gid is None else outside_gid


def _outside(kind: str, one: int) -> int | None:
    for inside, outside, count in _ranges(kind):
        if inside <= one < inside + count:
            return outside + one - inside
    return None


def _ranges(kind: str) -> list[tuple[int, int, int]]:
    """First id inside, first id outside, how many."""
    lines = text_of(f"/proc/self/{kind}_map").splitlines()
    return [(int(inside), int(outside), int(count)) for inside, outside, count in map(str.split, lines)]


def _range(file: str) -> tuple[int, int]:
    """The first range of this user in a file of subordinate ids: (first, count); count 0 if there is none."""
    import pwd  # noqa: PLC0415 - seldom needed

    uid = os.getuid()
    names = {str(uid)}
    with contextlib.suppress(KeyError):  # a number without a name may have ranges by number
        names.add(pwd.getpwuid(uid).pw_name)
    for line in text_of(file).splitlines():
        fields = line.split(":")
        if len(fields) == 3 and fields[0] in names and fields[1].isdecimal() and fields[2].isdecimal():
            return int(fields[1]), int(fields[2])
    return 0, 0


class _Mapper:
    """A process that stays outside and has the helpers write the maps of its parent."""

    def __init__(self, subordinates: Subordinates, uid: int, gid: int) -> None:
        target = str(os.getpid())
        ranges = [(uid, subordinates.uid), (gid, subordinates.gid)]
        self._commands = [
            [program, target, "0", str(own), "1", str(FIRST_BUILD_UID), str(first), str(subordinates.count)]
            for program, (own, first) in zip(("newuidmap", "newgidmap"), ranges, strict=True)
        ]
        go, self._go = os.pipe2(os.O_CLOEXEC)
        self._answer, answer = os.pipe2(os.O_CLOEXEC)
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._go)
            self._work(go, answer)
        os.close(go)
        os.close(answer)

    def _work(self, go: int, answer: int) -> None:
        import subprocess  # noqa: PLC0415 - seldom needed

        try:
            if os.read(go, 1):
                for command in self._commands:
                    done = subprocess.run(command, capture_output=True, check=False)
                    if done.returncode != 0:
                        os.write(answer, done.stderr or b"failed")
                        break
        finally:
            os._exit(0)

    def map(self) -> None:
        """Have the waiting process map the ids, and wait until it has."""
        os.write(self._go, b"x")
        os.close(self._go)
        with open(self._answer, "rb") as answer:
            problem = answer.read().decode("utf-8", "replace").strip()
        os.waitpid(self._pid, 0)
        if problem:
            raise IsolationUnavailableError(
                f"subordinate ids can't be mapped: {problem}",
                hint="correct /etc/subuid and /etc/subgid, or remove this user from them",
            )


def _unshare() -> None:
    try:
        from fruix.sandbox.linux import libc  # noqa: PLC0415 - most who ask only look

        libc.unshare(libc.CLONE_NEWUSER | libc.CLONE_NEWNS)
    except OSError as error:
        raise refusal(error) from error


def _write_maps(uids: str, gids: str) -> None:
    try:
        for name, text in (("setgroups", "deny"), ("uid_map", uids), ("gid_map", gids)):
            write_to(f"/proc/self/{name}", text)
    except OSError as error:
        raise refusal(error) from error


# What hosts forbid, and how to have it allowed: tried in this order.


def refusal(error: OSError) -> IsolationUnavailableError:
    """The error for a user namespace that was refused, or that turned out to be without powers."""
    for applies, what, remedy in _OBSTACLES:
        if applies(error):
            return IsolationUnavailableError(f"user namespaces: {what}", hint=remedy)
    return IsolationUnavailableError(
        f"user namespaces: {error.strerror}", hint="run the daemon as root, or ask 'fruix doctor'"
    )


def _setting(name: str, value: str) -> Callable[[OSError], bool]:
    return lambda _error: text_of(f"/proc/sys/{name}").strip() == value


def _in_chroot(error: OSError) -> bool:
    mount_points = [line.split()[4] for line in text_of("/proc/self/mountinfo").splitlines()]
    return error.errno == errno.EPERM and bool(mount_points) and "/" not in mount_points


def _filtered(error: OSError) -> bool:
    return error.errno == errno.EPERM and "\nSeccomp:\t2" in text_of("/proc/self/status")


def _exhausted(error: OSError) -> bool:
    return error.errno in {errno.ENOSPC, errno.EUSERS}


_OBSTACLES: tuple[tuple[Callable[[OSError], bool], str, str], ...] = (
    (
        _setting("user/max_user_namespaces", "0"),
        "this host allows none (user.max_user_namespaces is 0)",
        "sysctl -w user.max_user_namespaces=15000, as root; or run the daemon as root",
    ),
    (
        _setting("kernel/unprivileged_userns_clone", "0"),
        "only root may make them here (kernel.unprivileged_userns_clone is 0)",
        "sysctl -w kernel.unprivileged_userns_clone=1, as root; or run the daemon as root",
    ),
    (
        _setting("kernel/apparmor_restrict_unprivileged_userns", "1"),
        "AppArmor takes away their powers (kernel.apparmor_restrict_unprivileged_userns is 1)",
        (
            "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, as root, "
            "or an AppArmor profile for fruix with 'userns,'"
        ),
    ),
    (
        _exhausted,
        "there are too many, or they are nested too deeply (user.max_user_namespaces)",
        "raise user.max_user_namespaces, or leave some of the namespaces that this runs in",
    ),
    (
        _in_chroot,
        "they can't be made in a chroot",
        "leave the chroot, or run the daemon as root",
    ),
    (
        _filtered,
        "a system call filter, such as a container's, forbids them",
        (
            "run the container with user namespaces allowed (Docker: --security-opt seccomp=unconfined), "
            "or fruix outside of it"
        ),
    ),
)
