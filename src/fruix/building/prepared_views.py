"""Prepared views: copies of what a host view shows, kept by its fingerprint.

They are for systems where each mount costs much.

A jail would take a mount for each directory of its view. What a view shows is the same for every
build that is made for its fingerprint; so it is copied once, in one tree, and a build mounts that
tree's few top directories, read-only. Single files are in it too, which would be copied for each
build otherwise.

    prepared/NAME/FINGERPRINT/tree/…     what the view NAME shows, at its place
    prepared/NAME/FINGERPRINT/mounted    directories that are too big and so are mounted, a line each
    prepared/NAME/new                    one being made, or left by a crash
    builds/BUILD/view                    a link to FINGERPRINT: this build uses it

Copies, not hard links, stand in for the host's files: a link would change the file's number of
links and its time of change (by which its own fingerprint is kept, and of which security checks of
set-id files tell), what is `schg` refuses it, other file systems can't have one, and a file that is
changed in place would change in the view. On file systems that clone, a copy takes no room. Names
that are one file on the host are one file here. Everything is root's, nothing is writable or
set-id, and only root can enter the directory.

A tree is used only under its fingerprint's name, which it gets when it is complete, on the disk,
and when a last look at the host's files has shown that none was changed since they were
fingerprinted. What can't be prepared (the files are too young to tell, the room is lacking) is
mounted from the host as if there were nothing of this here.

Cost: when one is made, reading and writing all that it shows; per build, the mounts and one link.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress

from fruix.atomic_file import sync_path
from fruix.dataclass import replace
from fruix.errors import ObjectRejectedError
from fruix.hostview import ResolvedView, touched
from fruix.hostview.closure import is_in
from fruix.hostview.lookups import Host
from fruix.sandbox.spec import Bind
from fruix.store.flags import sync_file_system
from fruix.store.tree.copy import copy_data
from fruix.store.tree.delete import delete_tree
from fruix.store.tree.descriptors import CREATE_FILE, OPEN_DIRECTORY, OPEN_FILE
from fruix.store.tree.interruption import check_interrupt
from fruix.store.tree.syncing import sync_tree

_TREE, _MOUNTED, _NEW, _USE = "tree", "mounted", "new", "view"
_PASSABLE, _READABLE = 0o755, 0o555
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
_PAUSE = 0.2  # seconds between looks whether who waits for another's copy still wants it


class PreparedViews:
    """Those of one daemon, which alone works in the directory. Thread-safe.

    Args:
        directory: where they are; root's alone.
        builds: the directory of build directories.
        names: the views that are offered; what is prepared of others is deleted now, as is what a
            crash left.
        room: how many bytes one may have.
    """

    def __init__(self, directory: str, builds: str, names: Collection[str], room: Callable[[], int]) -> None:
        self._directory, self._builds, self._room = directory, builds, room
        self._lock = threading.Lock()
        for name in os.listdir(directory) if os.path.isdir(directory) else ():
            if name in names:
                _delete(f"{directory}/{name}", _NEW)
            else:
                _delete(directory, name)

    def use(self, resolved: ResolvedView, base: str, taken: Iterable[str]) -> ResolvedView:
        """What to show instead of the host's own directories.

        It stays until the build directory `base` is deleted.

        Args:
            resolved: the view, as it is on the host now.
            base: whose build it is.
            taken: where its sandbox has something else.

        Raises:
            OSError: it can't be made.
        """
        place = f"{self._directory}/{resolved.view.name}/{resolved.view.fingerprint}"
        while not self._lock.acquire(timeout=_PAUSE):
            check_interrupt()
        try:
            if not os.path.isdir(place) and not self._make(resolved, place):
                return resolved
            os.symlink(place, f"{base}/{_USE}")
        finally:
            self._lock.release()
        return _instead(resolved, place, tuple(taken))

    def _make(self, resolved: ResolvedView, place: str) -> bool:
        """Make one, and delete those of the same name that nobody uses.

        False: mount what is on the host.
        """
        room = self._room()
        if room <= 0 or not resolved.settled:
            return False
        parent = os.path.dirname(place)
        os.makedirs(parent, mode=0o700, exist_ok=True)
        for name in set(os.listdir(parent)) - self._used(parent):
            _delete(parent, name)
        try:
            complete = _fill(resolved, f"{parent}/{_NEW}", room)
            if complete:
                _sync(parent)
                os.rename(f"{parent}/{_NEW}", place)
                sync_path(parent, os.O_NOFOLLOW)
        except (OSError, ObjectRejectedError) as error:
            if isinstance(error, OSError) and error.errno not in _NO_ROOM:
                raise
            complete = False
        finally:
            _delete(parent, _NEW)
        return complete

    def _used(self, parent: str) -> set[str]:
        used = set()
        for build in os.listdir(self._builds):
            with suppress(OSError):  # it uses none, or has just ended
                holder, fingerprint = os.path.split(os.readlink(f"{self._builds}/{build}/{_USE}"))
                if holder == parent:
                    used.add(fingerprint)
        return used


def _fill(resolved: ResolvedView, new: str, room: int) -> bool:
    """Copy everything.

    False if the host's files aren't those that were fingerprinted, or there is nothing for
    which there is room.
    """
    os.makedirs(f"{new}/{_TREE}", mode=0o700)
    os.chmod(f"{new}/{_TREE}", _PASSABLE)
    mounted: list[str] = []
    sizes = [(_size(bind.source), bind) for bind in resolved.binds]
    for size, bind in sorted(sizes, key=lambda each: each[0]):
        if size > room:
            mounted.append(bind.target)
            _make_parents(f"{new}/{_TREE}{bind.target}/")
        else:
            room -= size
            _copy(bind.source, f"{new}/{_TREE}{bind.target}")
    for link in resolved.links:
        _make_parents(f"{new}/{_TREE}{link.path}")
        os.symlink(link.target, f"{new}/{_TREE}{link.path}")
    with open(f"{new}/{_MOUNTED}", "w", encoding="utf-8", errors="surrogateescape") as file:
        file.writelines(f"{target}\n" for target in mounted)
    return len(mounted) < len(resolved.binds) and touched(resolved) is None


def _size(top: str) -> int:
    """Bytes of the files in a tree, each counted once; or of a file."""
    sizes = {(status.st_dev, status.st_ino): status.st_size for _, status in Host().walk(top)}
    return sum(sizes.values())


def _copy(source: str, target: str) -> None:
    """Copy a tree, a file or a link of the host, which root alone can change.

    Directories are closed last, deepest first.
    """
    _make_parents(target)
    first: dict[tuple[int, int], str] = {}
    directories: list[tuple[str, os.stat_result]] = []
    for path, status in Host().walk(source):
        check_interrupt()
        copy = target + path.removeprefix(source)
        if stat.S_ISDIR(status.st_mode):
            os.mkdir(copy, 0o700)
            directories.append((copy, status))
        elif stat.S_ISLNK(status.st_mode):
            os.symlink(os.readlink(path), copy)
        elif (known := first.setdefault((status.st_dev, status.st_ino), copy)) != copy:
            os.link(known, copy, follow_symlinks=False)
        else:
            _copy_file(path, copy)
    for copy, status in reversed(directories):
        os.chmod(copy, status.st_mode & _READABLE)
        os.utime(copy, ns=(status.st_mtime_ns, status.st_mtime_ns))


def _copy_file(source: str, target: str) -> None:
    reading = os.open(source, OPEN_FILE)
    try:
        status = os.fstat(reading)
        if not stat.S_ISREG(status.st_mode):
            raise ObjectRejectedError("no regular file any more", where=source)
        writing = os.open(target, CREATE_FILE, 0o600)
        try:
            copy_data(reading, writing, status.st_size, where=source)
            os.fchown(writing, 0, 0)  # new files get the group of their directory on FreeBSD
            os.fchmod(writing, status.st_mode & _READABLE)
            os.utime(writing, ns=(status.st_mtime_ns, status.st_mtime_ns))
        finally:
            os.close(writing)
    finally:
        os.close(reading)


def _make_parents(path: str) -> None:
    """The directories above, as they are in a sandbox's root.

    The last part is none if there is no slash after it.
    """
    directory = os.path.dirname(path)
    if not os.path.isdir(directory):
        _make_parents(directory)
        os.mkdir(directory)
        os.chmod(directory, _PASSABLE)  # whatever the umask is


def _instead(resolved: ResolvedView, place: str, taken: Collection[str]) -> ResolvedView:
    """The view by its prepared tree.

    What of it is mounted from the host comes after what holds the place for it.
    """
    with open(f"{place}/{_MOUNTED}", encoding="utf-8", errors="surrogateescape") as file:
        mounted = frozenset(file.read().splitlines())
    own = [bind for bind in resolved.binds if bind.target in mounted]
    tops = _tops((bind.target for bind in resolved.binds if bind.target not in mounted), taken)
    copies = [Bind(f"{place}/{_TREE}{top}", top) for top in tops]
    inside = tuple(f"{top}/" for top in tops)
    return replace(
        resolved,
        binds=(*copies, *own),
        links=tuple(link for link in resolved.links if not link.path.startswith(inside)),
        seen=tuple(look for look in resolved.seen if any(is_in(look[0], bind.source) for bind in own)),
    )


def _tops(targets: Iterable[str], taken: Collection[str]) -> list[str]:
    """The highest directories that hold all targets, and nothing in which the sandbox has something else."""
    found = {next(top for top in _upwards(target) if _is_free(top, target, taken)) for target in targets}
    return sorted(found)


def _upwards(path: str) -> Iterator[str]:
    """The directories above a path, highest first, and the path itself."""
    parts = path.split("/")
    return ("/".join(parts[:count]) for count in range(2, len(parts) + 1))


def _is_free(top: str, target: str, taken: Collection[str]) -> bool:
    return top == target or not any(is_in(other, top) for other in taken)


def _sync(parent: str) -> None:
    """What was made is on the disk before it gets its name.

    A power cut leaves none that is not whole.
    """
    descriptor = os.open(parent, OPEN_DIRECTORY)
    try:
        if not sync_file_system(descriptor):
            sync_tree(descriptor, os.fsencode(_NEW))
    finally:
        os.close(descriptor)


def _delete(parent: str, name: str) -> None:
    descriptor = os.open(parent, OPEN_DIRECTORY)
    try:
        delete_tree(descriptor, os.fsencode(name))
    finally:
        os.close(descriptor)
