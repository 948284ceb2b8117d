"""The directories of one build on the host.

Below the builds directory, which is root's alone (0700).

    builds/NAME/         0700 root
    builds/NAME/root/    0700 root, empty: where the sandbox mounts its root, in its own mount namespace
    builds/NAME/build/   0700 build user: the working directory
    builds/NAME/tmp/     1777 root, or root:build group: seen inside as /tmp
    builds/NAME/store/   1775 root:build group: seen inside as the store; outputs appear here

(Where a build sees many inputs, `store` is a directory that has been one before: `kept_points`. What a build
has left empty is used again: `spare`.)

Made before any process of the build exists; deleted by descriptor, without following links or
crossing mounts, when all of them are dead.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from fruix import failpoints
from fruix.building import kept_points, spare
from fruix.building.resources import Resources
from fruix.dataclass import dataclass, replace
from fruix.errors import BadDerivationError, StillRunningError, StoreError
from fruix.model.storepath import StorePath
from fruix.sandbox import JournalEntry
from fruix.sandbox.back_ends import current
from fruix.store.tree.delete import delete_tree
from fruix.store.tree.descriptors import CREATE_FILE, OPEN_DIRECTORY

_STORE = "store"


@dataclass(frozen=True, slots=True)
class Workspace:
    """Where one build's directories are. `name` is also the name of its sandbox (`frx-…`)."""

    name: str
    base: str

    @property
    def root(self) -> str:
        """Empty directory for the sandbox's root file system."""
        return f"{self.base}/root"

    @property
    def build(self) -> str:
        """The builder's working directory, owned by the build user."""
        return f"{self.base}/build"

    @property
    def tmp(self) -> str:
        """What the builder sees as /tmp."""
        return f"{self.base}/tmp"  # noqa: S108 - a directory of the build

    @property
    def store(self) -> str:
        """The build's own view of the store directory."""
        return f"{self.base}/{_STORE}"


@dataclass(frozen=True, slots=True)
class BuildNote:
    """What the next start has to know of a build.

    Attributes:
        outputs: what may come to lie in the store, unregistered.
        kind: the job's.
        check: whether its log and record are those of a check.
    """

    outputs: Sequence[StorePath]
    kind: str
    check: bool


def name_prefix(derivation: StorePath) -> str:
    """How the names of a derivation's builds begin."""
    return f"frx-{derivation.hash_part[:12]}-"


def new_name(derivation: StorePath, identity: str) -> str:
    """A name for a build (`frx-DERIVATION-STORE-RANDOM`).

    Lower-case letters and digits, unique on this machine.

    It is also that of its cgroup or jail, which all daemons of a machine make side by side.

    Args:
        derivation: which one is built.
        identity: of the store (`Database.identity`).
    """
    return f"{name_prefix(derivation)}{identity[:8]}-{os.urandom(3).hex()}"


@contextmanager
def noted_workspace(
    derivation: StorePath,
    uid: int,
    resources: Resources,
    build: BuildNote | None = None,
    points: Collection[str] | None = None,
) -> Iterator[Workspace]:
    """A fresh workspace, with a note in the journal around it: what is left of it, the next start removes.

    Args:
        derivation: what it is for.
        uid: of the build user.
        resources: what builds share.
        build: if it is built.
        points: names of mount points in its store; None if another build's directories may not serve.
    """
    name, builds = new_name(derivation, resources.store.database.identity), resources.store.layout.builds
    failpoints.reach("journal")
    note = JournalEntry.of(name, uid)
    if build is not None:
        outputs = tuple(path.base for path in build.outputs)
        note = replace(note, outputs=outputs, drv=derivation.base, kind=build.kind, check=build.check)
    resources.journal.write(note)
    try:
        failpoints.reach("directories")
        with workspace(builds, name, uid, uid, points) as area:
            yield area
    finally:
        if not os.path.lexists(f"{builds}/{name}"):
            failpoints.reach("remove-journal")
            resources.journal.forget(name)


@contextmanager
def workspace(
    builds: str, name: str, uid: int, gid: int, points: Collection[str] | None = None
) -> Iterator[Workspace]:
    """Make the directories; delete them at the end, whatever is in them by then.

    But they may be ones that were kept, and be kept, unless `points`, which may lie in `store`, is None.

    Only after a `StillRunningError` they stay: mounts or processes may be in them.
    """
    dead = True
    parent = os.open(builds, OPEN_DIRECTORY)
    try:
        with _named(f"{builds}/{name}"):
            if points is None or not spare.take(parent, builds, name, _few(points)):
                os.mkdir(name, 0o700, dir_fd=parent)
        try:
            with _named(f"{builds}/{name}"):
                _fill(parent, name, uid, gid, points or ())
            yield Workspace(name, f"{builds}/{name}")
        except StillRunningError:
            dead = False
            raise
        finally:
            if dead:
                failpoints.reach("remove-directories")
                _remove(parent, builds, name, points)
    finally:
        os.close(parent)


def _remove(parent: int, builds: str, name: str, points: Collection[str] | None) -> None:
    if points is not None and len(points) >= kept_points.FEWEST:
        with suppress(OSError, StoreError):  # then it is deleted
            kept_points.keep(parent, name, _STORE)
    elif _removed(parent, builds, name, points):
        return
    delete_tree(parent, os.fsencode(name))


def _removed(parent: int, builds: str, name: str, points: Collection[str] | None) -> bool:
    """Whether the directories are gone, in which nothing was left but mount points: one call for each."""
    store = f"{name}/{_STORE}"
    try:
        os.rmdir(f"{name}/{spare.FRESH}", dir_fd=parent)
        if points is not None and spare.keep(parent, builds, name, points):
            return True
        for point in points or ():
            os.rmdir(f"{store}/{point}", dir_fd=parent)  # of links, files and mounts nothing goes
        for path in (*(f"{name}/{child}" for child in spare.KEPT), name):
            os.rmdir(path, dir_fd=parent)
    except OSError:
        return False
    return True


def _few(points: Collection[str]) -> Collection[str]:
    """Those that may be in a store that is used again, unless that is one of many (`kept_points`)."""
    return points if len(points) < kept_points.FEWEST else ()


@contextmanager
def _named(path: str) -> Iterator[None]:
    """Errors tell the whole name, not what it is by a descriptor."""
    try:
        yield
    except OSError as error:
        error.filename = path
        raise


def _fill(parent: int, name: str, uid: int, gid: int, points: Collection[str]) -> None:
    """Make those that aren't there; each gets its owner and its mode."""
    base = os.open(name, OPEN_DIRECTORY, dir_fd=parent)
    try:
        kept_points.take(parent, base, _STORE, points)
        for child, mode, owner, group in (
            ("root", 0o700, 0, 0),
            ("build", 0o700, uid, gid),
            # Where new files take the group of their directory (FreeBSD), that must not be root's.
            ("tmp", 0o1777, 0, 0 if current().user_namespaces else gid),
            (_STORE, 0o1775, 0, gid),
        ):
            # By their names: nobody else can change those in there.
            try:
                os.chown(child, owner, group, dir_fd=base)
            except FileNotFoundError:
                os.mkdir(child, 0o700, dir_fd=base)
                os.chown(child, owner, group, dir_fd=base)
            os.chmod(child, mode, dir_fd=base)
    finally:
        os.close(base)


def put_files(area: Workspace, files: Mapping[str, bytes], uid: int) -> None:
    """Make files in the builder's working directory, owned by the build user.

    No process of the build exists yet.

    Names are plain ones and new; nothing is followed or replaced, and only the file that was made
    changes its owner.
    """
    if not files:
        return
    directory = os.open(area.build, OPEN_DIRECTORY)
    try:
        for name, data in files.items():
            if "/" in name or "\0" in name or name in {"", ".", ".."}:
                raise BadDerivationError(f"'{name}' can't be the name of a file for the builder")
            _put_file(directory, name, data, uid)
    finally:
        os.close(directory)


def _put_file(directory: int, name: str, data: bytes, uid: int) -> None:
    descriptor = os.open(name, CREATE_FILE, 0o600, dir_fd=directory)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fchmod(descriptor, 0o644)
        os.fchown(descriptor, uid, uid)
