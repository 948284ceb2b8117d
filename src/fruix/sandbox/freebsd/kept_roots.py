"""Roots of sandboxes that are kept: made once and used again.

A root holds mount points, links, generated files and databases of users.

A build's root directory holds nothing but what follows from its contract, its user and the paths of its
host view; the build itself can change none of it (everything is root's). Making it anew for each build
was most of a small build's cost on a 13.2 kernel: UFS has to write a fresh directory to the disk before
something can be mounted on it, and `pwd_mkdb` is a process. So the first build's root is kept for the
next build of the same user that needs the same one. Users are exclusive, so no two builds share one.

    builds/roots/UID-KEY/          0700 root; KEY: a hash of all that the root holds
    builds/roots/UID-KEY/root/     the root, with nothing mounted in it unless a build runs
    builds/roots/UID-KEY/areas     where builds' own directories are put into it, a line each
    builds/roots/UID-KEY/parked    a jail stands ready in it (`parked`)

Whoever works in one holds a lock on its directory, UID-KEY.

While a build runs its own directories (`/tmp`, `/build`) lie in the root: they are renamed into it
and back, not mounted; but see `Skeleton.areas`. A root that still holds one after a crash is never
used again (`put_aside`).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Collection, Iterator, Sequence

from fruix.dataclass import dataclass
from fruix.sandbox.freebsd.abi import FileSystem
from fruix.sandbox.freebsd.mounts import below
from fruix.sandbox.root_skeleton import make_directories, make_files, make_links
from fruix.sandbox.spec import PREFIX, Bind, File, Link, SandboxSpec

DIRECTORY = "roots"
MOST = 8  # kept for each user; the one that was not used for the longest time goes first
_FORMAT = 1
_ROOT, _AREAS, _NOTE = "root", "areas", "parked"
_MODE = 0o755


@dataclass(frozen=True, slots=True)
class Skeleton:
    """What the root of a sandbox holds before anything is mounted in it or moved into it.

    Attributes:
        directories: to mount on, or that are just there.
        links: as they are.
        files: the generated ones.
        areas: the build's own directories that are moved in: those whose place is root's own, and in
            which nothing else is shown. One that holds inputs is mounted, so that none of these can be
            linked to from outside of it.
        shown: what is mounted or, if it is no directory, copied to a place that is root's own.
    """

    directories: tuple[str, ...]
    links: tuple[Link, ...]
    files: tuple[File, ...]
    areas: tuple[Bind, ...]
    shown: tuple[Bind, ...]

    def key(self, uid: int) -> str:
        """The name under which it is kept for a build user."""
        held = [
            self.directories,
            [(link.path, link.target) for link in self.links],
            [(file.path, file.mode, hashlib.sha256(file.data).hexdigest()) for file in self.files],
            [bind.target for bind in self.areas],
            [bind.target for bind in self.shown],
        ]
        digest = hashlib.sha256(json.dumps([_FORMAT, uid, *held]).encode()).hexdigest()
        return f"{uid}-{digest[:32]}"

    def has_copies(self) -> bool:
        """Whether something is copied into the root, which is then the build's own and not kept."""
        return not all(map(_is_directory, self.shown))

    def make(self) -> None:
        """Make all of it in the current directory, which is empty."""
        os.chmod(".", _MODE)
        make_directories(self.directories)
        make_directories(bind.target for bind in self.shown if _is_directory(bind))
        make_files(self.files)
        make_links(self.links)


def skeleton_of(spec: SandboxSpec) -> Skeleton:
    """That of a specification, from which alone it follows."""
    targets = {bind.target for bind in spec.binds}
    binds = [bind for bind in spec.binds if not _inside(bind.target, targets)]
    holding = {parent for target in targets for parent in _parents(target)}
    areas = tuple(bind for bind in binds if bind.writable and bind.target not in holding)
    parents = {os.path.dirname(area.target) for area in areas} - {"/"}
    return Skeleton(
        directories=("/dev", "/etc", *(mount.path for mount in spec.tmpfs), *sorted(parents)),
        links=tuple(link for link in spec.links if not _inside(link.path, targets)),
        files=spec.files,
        areas=areas,
        shown=tuple(bind for bind in binds if bind not in areas),
    )


def _is_directory(bind: Bind) -> bool:
    return stat.S_ISDIR(os.lstat(bind.source).st_mode)


def _inside(path: str, targets: Collection[str]) -> bool:
    """Whether one of the directories above `path` is among `targets`."""
    return any(parent in targets for parent in _parents(path))


def _parents(path: str) -> Iterator[str]:
    """The directories above an absolute path, but for `/`."""
    while path := path.rpartition("/")[0]:
        yield path


def kept_root(spec: SandboxSpec) -> str:
    """Where the root of such a sandbox is kept, whether or not there is one yet."""
    builds = os.path.dirname(os.path.dirname(os.path.realpath(spec.root)))
    return f"{builds}/{DIRECTORY}/{skeleton_of(spec).key(spec.identity.uid)}/{_ROOT}"


def usable(root: str, skeleton: Skeleton) -> bool:
    """Whether a root is kept there. One in which something of an earlier build still lies is put aside."""
    if not os.path.isdir(root):
        return False
    if any(os.path.lexists(root + area.target) for area in skeleton.areas):
        put_aside(root)
        return False
    os.utime(os.path.dirname(root))  # when it was used last
    return True


def keep(own: str, root: str, skeleton: Skeleton, table: Sequence[FileSystem]) -> None:
    """Keep a build's own root, complete and with nothing mounted in it, for later builds.

    Its path is `root` from now on.

    Args:
        own: where it lies.
        root: as from `kept_root`.
        skeleton: what it holds.
        table: the mounts of the system.
    """
    place = os.path.dirname(root)
    os.makedirs(os.path.dirname(place), mode=0o700, exist_ok=True)
    _make_room(place, table)
    os.makedirs(place, mode=0o700, exist_ok=True)
    with open(f"{place}/{_AREAS}", "w", encoding="utf-8") as file:
        file.writelines(f"{area.target}\n" for area in skeleton.areas)
    os.rename(own, root)


def write_note(root: str, jail: str) -> None:
    """Note that the jail of that name is about to stand ready in a kept root."""
    with open(f"{os.path.dirname(root)}/{_NOTE}", "w", encoding="ascii") as file:
        file.write(f"{jail}\n")


def remove_note(root: str) -> None:
    """Of a kept root in which none does any more."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(f"{os.path.dirname(root)}/{_NOTE}")


def places(builds: str) -> list[str]:
    """The directories of all kept roots."""
    parent = f"{builds}/{DIRECTORY}"
    return [f"{parent}/{name}" for name in os.listdir(parent)] if os.path.isdir(parent) else []


def is_noted(place: str) -> bool:
    """Whether a jail stands ready in the kept root of that directory, or did when all was killed."""
    return os.path.lexists(f"{place}/{_NOTE}")


def put_aside(root: str) -> None:
    """Have the next start delete a root, with whatever a build left in it.

    It gets a name of a build directory.
    """
    place = os.path.dirname(root)
    builds = os.path.dirname(os.path.dirname(place))
    os.rename(place, f"{builds}/{PREFIX}aside-{os.urandom(6).hex()}")


def put_aside_spoiled(builds: str) -> None:
    """Put all roots aside that a crash left with something of a build in it.

    For a start, when nothing is mounted below `builds` any more.
    """
    for place in places(builds):
        remove_note(f"{place}/{_ROOT}")
        if _is_spoiled(place):
            put_aside(f"{place}/{_ROOT}")


def _is_spoiled(place: str) -> bool:
    """Whether something of a build lies in a kept root, or it was just being kept."""
    try:
        with open(f"{place}/{_AREAS}", encoding="utf-8") as file:
            areas = file.read().splitlines()
    except FileNotFoundError:
        return True
    root = f"{place}/{_ROOT}"
    return not os.path.isdir(root) or any(os.path.lexists(root + area) for area in areas)


def _make_room(place: str, table: Sequence[FileSystem]) -> None:
    """Delete the roots that were not used for the longest time when a user has many.

    One with a mount or something of a build in it is never deleted.
    """
    parent, name = os.path.split(place)
    user = f"{name.partition('-')[0]}-"
    others = [f"{parent}/{other}" for other in os.listdir(parent) if other.startswith(user) and other != name]
    others.sort(key=lambda other: os.stat(other).st_mtime_ns)
    for other in others[: max(0, len(others) - MOST + 1)]:
        if not below(table, other) and not _is_spoiled(other):
            shutil.rmtree(other)
