"""The fingerprint of what a view shows: one SHA-256 over every path, what it is, and its contents.

Contents are hashed once: a table in the cache directory keeps each file's hash with the status that
it had (device, inode, size, times). The change time can't be set, so an unchanged status means
unchanged contents, unless a file was changed in the same tick of the clock in which it was looked
at: what is younger than `SETTLED_NS` is not remembered. Layout of the fingerprint: `digest_shown`.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Iterable

from fruix.errors import HostViewChangedError, HostViewError
from fruix.hostview.cache_files import read_json, write_json
from fruix.hostview.lookups import Host, gone, status_key

_HEADER = b"fruix-host-view-1\0"
_CHUNK = 1 << 20
SETTLED_NS = 2_000_000_000

# (path as seen inside, kind, SHA-256 in hex or a link's text)
Shown = tuple[str, str, str]


def digest_shown(shown: Iterable[Shown]) -> str:
    """Hex digits; independent of the order given."""
    sha256 = hashlib.sha256(_HEADER)
    for item in sorted(shown):
        for text in item:
            sha256.update(os.fsencode(text) + b"\0")
    return sha256.hexdigest()


class FileHashes:
    """Hashes of files' contents by path and status, kept in a file from one resolution to the next."""

    def __init__(self, cache_file: str) -> None:
        self._file = cache_file
        known = read_json(cache_file)
        self._known: dict[str, list[str]] = known if isinstance(known, dict) else {}
        self._used: dict[str, list[str]] = {}
        self._settled = time.time_ns() - SETTLED_NS

    def sha256(self, path: str, status: os.stat_result) -> str:
        """Hex digits.

        Raises:
            HostViewChangedError: the file isn't the one of which `status` tells.
            HostViewError: it can't be read.
        """
        key = status_key(status).hex()
        known = self._known.get(path)
        if known is None or known[0] != key:
            known = [key, _hash_file(path, status_key(status))]
        if status.st_ctime_ns < self._settled:
            self._used[path] = known
        return known[1]

    def save(self) -> None:
        """Keep what was asked for, and nothing else."""
        if self._used != self._known:
            write_json(self._file, self._used)


def show_file(path: str, host: Host, hashes: FileHashes) -> Shown:
    """A file that is shown by itself."""
    status = host.status(path)
    if status is None:
        raise gone(path)
    return _file(path, status, hashes)


def show_tree(top: str, host: Host, hashes: FileHashes) -> Shown:
    """A tree as one thing: the digest of all in it."""
    return top, "tree", digest_shown(_entry(path, status, host, hashes) for path, status in host.walk(top))


def show_part(place: str, leaves: Iterable[str], host: Host, hashes: FileHashes) -> Shown:
    """Files and links below a place as one thing: the digest of them all, however they are shown."""
    statuses = ((path, host.status(path)) for path in leaves)
    return (
        place,
        "part",
        digest_shown(_entry(path, status, host, hashes) for path, status in statuses if status),
    )


def _entry(path: str, status: os.stat_result, host: Host, hashes: FileHashes) -> Shown:
    if stat.S_ISREG(status.st_mode):
        return _file(path, status, hashes)
    if stat.S_ISLNK(status.st_mode):
        return path, "link", host.link_text(path)
    if stat.S_ISDIR(status.st_mode):
        return path, "directory", ""
    raise HostViewError(
        f"a host view can't show a {_kind(status.st_mode)}: "
        "a builder could reach through it whoever serves it",
        where=path,
        hint="remove it, or show a tree without it (see 'views' in the configuration)",
    )


def _kind(mode: int) -> str:
    kinds = {stat.S_IFIFO: "named pipe", stat.S_IFSOCK: "socket"}
    return kinds.get(stat.S_IFMT(mode), "device")


def _file(path: str, status: os.stat_result, hashes: FileHashes) -> Shown:
    kind = "executable" if status.st_mode & 0o111 else "file"
    return path, kind, hashes.sha256(path, status)


def _hash_file(path: str, expected: bytes) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise gone(path) from None
    except OSError as error:
        raise HostViewError(f"can't be read: {error.strerror}", where=path) from error
    with open(descriptor, "rb", buffering=0) as file:
        sha256 = hashlib.sha256()
        while chunk := file.read(_CHUNK):
            sha256.update(chunk)
        if status_key(os.fstat(descriptor)) != expected:
            raise HostViewChangedError(
                "changed while the host view was resolved",
                where=path,
                hint="let the upgrade finish, then try again",
            )
    return sha256.hexdigest()
