"""Who is at the other end of a connection, and what that user may do.

Decided once per connection, by the numeric user that the kernel names and look-ups of names and
groups; a look-up that fails is a refusal, and a refusal holds for some seconds, so that a refused
user can't have the daemon look up names all the time. Users of the build pool are refused before a
single byte of theirs is read, whatever the lists say. Trusted users are as good as root: they may
change what the daemon believes.

A connected descriptor is a capability: whoever it is passed on to acts as the user who opened it.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import socket
import struct
import sys
import time
from collections.abc import Callable, Collection, Iterable, Mapping

from fruix.dataclass import dataclass
from fruix.errors import NotPermittedError

EVERYBODY = "*"
# Seconds that a refusal holds, and how many users' are remembered.
REFUSAL_HOLDS = 5.0
MOST_REFUSALS = 1 << 12


@dataclass(frozen=True, slots=True)
class Peer:
    """The kernel's word on the other end; `pid` 0 if it isn't known.

    `remote`: the connection came over TCP, so that nobody knows whose it is.
    """

    uid: int
    gid: int
    pid: int = 0
    remote: bool = False

    @property
    def name(self) -> str:
        """The user's name, or the number if it has none."""
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return str(self.uid)


# Whoever comes over TCP: the number of nobody, who is trusted by nobody.
REMOTE = Peer(65534, 65534, remote=True)


@dataclass(frozen=True, slots=True)
class Access:
    """Who may connect, and who is trusted, by users and groups (`@GROUP`).

    The daemon's own user and root always may, and are trusted unless `trusts_own_user` says otherwise.
    """

    allowed: Collection[str]
    trusted: Collection[str]
    build_uids: Collection[int]
    trusts_own_user: bool = True

    def admit(self, peer: Peer) -> bool:
        """Whether an admitted peer is trusted.

        Raises:
            NotPermittedError: not admitted at all.
        """
        if peer.uid in self.build_uids:
            raise NotPermittedError(f"user {peer.uid} is a build user and may not connect to the daemon")
        if peer.uid in {0, os.geteuid()} and not peer.remote:
            return self.trusts_own_user
        try:
            if not peer.remote and matches(peer, self.trusted):
                return True
            if matches(peer, self.allowed):
                return False
        except OSError as error:
            raise NotPermittedError(f"can't find out who user {peer.uid} is: {error}") from error
        raise NotPermittedError(
            f"user '{peer.name}' is not allowed to connect to the daemon",
            hint="the daemon's setting 'allowed-users' says who is",
        )


class Admission:
    """`Access.admit`, remembering refusals for `REFUSAL_HOLDS` seconds. For one thread."""

    def __init__(self, access: Access, clock: Callable[[], float] = time.monotonic) -> None:
        self.access = access
        self._clock = clock
        self._refused: dict[tuple[int, int], tuple[float, NotPermittedError]] = {}

    def admit(self, peer: Peer) -> bool:
        """Decide as `Access.admit` does; names of users and groups are looked up now and then only."""
        key, now = (peer.uid, peer.gid), self._clock()
        if (known := self._refused.get(key)) and now < known[0]:
            raise known[1].with_traceback(None)
        try:
            return self.access.admit(peer)
        except NotPermittedError as error:
            if len(self._refused) >= MOST_REFUSALS:
                self._refused.clear()
            self._refused[key] = now + REFUSAL_HOLDS, error
            raise


def matches(peer: Peer, entries: Iterable[str]) -> bool:
    """Whether a list of user names, numeric uids, `@group` and `*` names the peer."""
    return any(_matches(peer, entry) for entry in entries)


def _matches(peer: Peer, entry: str) -> bool:
    if entry == EVERYBODY:
        return True
    if entry.isdecimal():
        return peer.uid == int(entry)
    try:
        if entry.startswith("@"):
            return grp.getgrnam(entry[1:]).gr_gid in _groups(peer)
        return pwd.getpwnam(entry).pw_uid == peer.uid
    except KeyError:
        return False  # a name that nobody has


def _groups(peer: Peer) -> set[int]:
    """The peer's group and those of its user; a uid without a name has no others."""
    try:
        user = pwd.getpwuid(peer.uid)
    except KeyError:
        return {peer.gid}
    return {peer.gid, *os.getgrouplist(user.pw_name, user.pw_gid)}


def credentials(connection: socket.socket) -> Peer:
    """The user at the other end, as of when it connected; `REMOTE` over TCP.

    Raises:
        OSError: the kernel doesn't say.
    """
    if connection.family != socket.AF_UNIX:
        return REMOTE
    return _ASK.get(sys.platform, _xucred)(connection)


def _ucred(connection: socket.socket) -> Peer:
    """Ask Linux by SO_PEERCRED, see unix(7): process, user and group as of connect(2)."""
    data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    pid, uid, gid = _UCRED.unpack(data)
    return Peer(uid, gid, pid)


_UCRED = struct.Struct("@iII")
_ASK: Mapping[str, Callable[[socket.socket], Peer]] = {"linux": _ucred}
# FreeBSD, unix(4) LOCAL_PEERCRED at level SOL_LOCAL: version, uid, number of groups, 16 groups, pid
# (13 and later, else 0 or rubbish).
_XUCRED = struct.Struct("@IIh16I4xi4x")
_SOL_LOCAL, _LOCAL_PEERCRED, _XUCRED_VERSION = 0, 1, 0


def _xucred(connection: socket.socket) -> Peer:
    data = connection.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, _XUCRED.size)
    if len(data) != _XUCRED.size:
        raise OSError(errno.EPROTO, f"credentials of {len(data)} bytes, not {_XUCRED.size}")
    version, uid, groups, gid, *_, pid = _XUCRED.unpack(data)
    if version != _XUCRED_VERSION or groups < 1:
        raise OSError(errno.EPROTO, f"credentials of version {version} with {groups} groups")
    return Peer(uid, gid, max(pid, 0))
