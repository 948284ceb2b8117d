"""Keeping what a failed build left, and bringing it back for somebody to look around in.

A copy of its directories, for the user who asked, under a private name.

    kept/                          0711 root
    kept/UID/                      0700 UID
    kept/UID/NAME/                 0700 UID, NAME as the sandbox's
    kept/UID/NAME/build, tmp       what was there (an empty `tmp` is left out)
    kept/UID/NAME/store/…          outputs, as far as there are some
    kept/UID/NAME/environment      the builder's variables, as a shell script

Never the directories themselves and never a `chown -R`: a builder could have left hard links to
files that aren't its own. The copy is made of fresh inodes below a name that only root may enter,
of regular files that belong to the build user, directories and symlinks, without set-id bits; then
it gets its name by one rename. What is left out is counted and said. If there isn't room for it
(`min-free` would be passed) nothing is kept. Nobody deletes it but its owner.

Bringing back is a copy the other way round: from its owner's directory into a build's fresh ones,
the files being the build user's then. By then the owner may have changed it in any way, so the
copying is as careful as the first time: no link is followed, and only directories, symlinks and
files of the owner's are taken.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from fruix import failpoints
from fruix.building.builders.prepared_builder import PreparedBuilder
from fruix.building.crashed import UNFINISHED
from fruix.building.resources import Resources
from fruix.building.run.state import RunState
from fruix.building.workspace import Workspace, name_prefix
from fruix.dataclass import dataclass
from fruix.errors import FruixError, ObjectRejectedError
from fruix.model.build_options import Requester
from fruix.model.reasons import reason
from fruix.model.storepath import StorePath
from fruix.sandbox import Exec
from fruix.store.tree.copy_for_user import Keeper
from fruix.store.tree.delete import delete_tree
from fruix.store.tree.descriptors import CREATE_FILE, OPEN_DIRECTORY, open_chain, open_directory, write_all
from fruix.store.tree.interruption import interruptible

_PARTS = (b"build", b"tmp", b"store")


@contextmanager
def kept_if_it_fails(
    state: RunState, builder: PreparedBuilder, area: Workspace, resources: Resources
) -> Iterator[None]:
    """Keep a copy of a failed build's directories if the client wants one.

    Those of a fetcher tell nothing.
    """
    try:
        yield
    except (FruixError, OSError):
        wanted = state.job.wanted(lambda options: options.keep_failed)
        if wanted and not state.job.cancelled and builder.is_own:
            state.keep(keep_build(state, area, wanted.requester, resources))
        raise


def keep_build(state: RunState, area: Workspace, owner: Requester | None, resources: Resources) -> str:
    """Copy `area` for `owner` (None: the daemon's own user).

    The name of the copy, or "" if it couldn't be made.

    Either way the clients are told.
    """
    uid, gid = (owner.uid, owner.gid) if owner else (os.getuid(), os.getgid())
    spec = state.spec
    environment = spec.program.environment if spec and isinstance(spec.program, Exec) else {}
    build_uid = spec.identity.uid if spec else -1
    outputs = [path.base for path in state.facts.derivation.output_paths.values()]
    try:
        keeper = Keeper(build_uid, uid, gid, room=free_room(resources))
        copy = _Copy(area, keeper, environment, outputs)
        with interruptible(state.why_not_keep):
            path = copy.make(resources.store.layout.kept)
    except (OSError, FruixError) as error:
        state.add_note(reason("not-kept", text=str(error)), late=True)
        return ""
    state.add_note(reason("kept", path=path), late=True)
    if keeper.skipped:
        state.add_note(reason("kept-without", count=keeper.skipped), late=True)
    return path


def remove_unfinished(kept: str) -> list[str]:
    """Delete copies that a crash left half made; their names."""
    parent = open_chain(kept)
    try:
        names = sorted(name for name in os.listdir(parent) if name.startswith(UNFINISHED))
        for name in names:
            delete_tree(parent, os.fsencode(name))
        return names
    finally:
        os.close(parent)


def free_room(resources: Resources) -> int:
    """How many bytes copies may take: what is free, without what is always to be left free."""
    status = os.statvfs(resources.store.layout.state)
    return max(0, status.f_bavail * status.f_frsize - resources.settings.min_free)


@dataclass(frozen=True, slots=True)
class _Copy:
    """A copy of `area` that is being made; `outputs` are base names."""

    area: Workspace
    keeper: Keeper
    environment: Mapping[str, str]
    outputs: Sequence[str]

    def make(self, kept: str) -> str:
        """Make it below the directory `kept`; its name."""
        parent = open_chain(kept)
        try:
            unfinished = UNFINISHED + self.area.name
            os.mkdir(unfinished, 0o700, dir_fd=parent)
            try:
                failpoints.reach("keep")
                self._fill(parent, os.fsencode(unfinished))
                return f"{kept}/{_place(parent, unfinished, self.area.name, self.keeper)}"
            except BaseException:
                delete_tree(parent, os.fsencode(unfinished))
                raise
        finally:
            os.close(parent)

    def _fill(self, parent: int, unfinished: bytes) -> None:
        with ExitStack() as opened:

            def hold(descriptor: int) -> int:
                opened.callback(os.close, descriptor)
                return descriptor

            base, target = hold(open_chain(self.area.base)), hold(open_directory(parent, unfinished))
            self.keeper.copy(base, b"build", target)
            if os.listdir(hold(open_directory(base, b"tmp"))):
                self.keeper.copy(base, b"tmp", target)
            self._outputs(hold(open_directory(base, b"store")), target)
            self._environment(target)
            os.fchown(target, self.keeper.uid, self.keeper.gid)

    def _outputs(self, store: int, target: int) -> None:
        found = [name for name in self.outputs if name in os.listdir(store)]
        if not found:
            return
        os.mkdir("store", 0o700, dir_fd=target)
        directory = open_directory(target, b"store")
        try:
            for name in found:
                self.keeper.copy(store, os.fsencode(name), directory)
            os.fchown(directory, self.keeper.uid, self.keeper.gid)
        finally:
            os.close(directory)

    def _environment(self, target: int) -> None:
        import shlex  # noqa: PLC0415 - seldom needed

        script = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in self.environment.items())
        descriptor = os.open("environment", CREATE_FILE, 0o600, dir_fd=target)
        try:
            write_all(descriptor, script.encode("utf-8", "surrogateescape"))
            os.fchown(descriptor, self.keeper.uid, self.keeper.gid)
        finally:
            os.close(descriptor)


def _place(parent: int, unfinished: str, name: str, keeper: Keeper) -> str:
    """Rename it into its owner's directory (where only one's own names can be in the way)."""
    owner = str(keeper.uid)
    try:
        os.mkdir(owner, 0o700, dir_fd=parent)
        os.chown(owner, keeper.uid, keeper.gid, dir_fd=parent, follow_symlinks=False)
    except FileExistsError:
        pass
    directory = os.open(owner, OPEN_DIRECTORY, dir_fd=parent)
    try:
        if os.fstat(directory).st_uid != keeper.uid:
            raise ObjectRejectedError("belongs to somebody else", where=owner)
        os.rename(unfinished, name, src_dir_fd=parent, dst_dir_fd=directory)
    finally:
        os.close(directory)
    return f"{owner}/{name}"


def find_kept(kept: str, uid: int, path: StorePath) -> str | None:
    """The latest kept directories of a user's failed builds of `path`, or None.

    Args:
        kept: the directory of all kept builds.
        uid: whose.
        path: the derivation.
    """
    mine = f"{kept}/{uid}"
    try:
        with os.scandir(mine) as entries:
            found = [
                (entry.stat(follow_symlinks=False).st_ctime_ns, entry.path)
                for entry in entries
                if entry.name.startswith(name_prefix(path)) and entry.is_dir(follow_symlinks=False)
            ]
    except FileNotFoundError:
        return None
    return max(found)[1] if found else None


def bring_back(directory: str, area: Workspace, owner: int, build_uid: int, room: int) -> int:
    """Copy kept directories into a build's; how many files were left out.

    Raises:
        ObjectRejectedError: one of them is no directory, or they are more than `room` bytes.
        OSError: as the system says.
    """
    source, target = open_chain(directory), open_chain(area.base)
    try:
        keeper = Keeper(owner, build_uid, build_uid, room)
        for name in _PARTS:
            if name.decode() not in os.listdir(source):
                continue
            if not stat.S_ISDIR(os.stat(name, dir_fd=source, follow_symlinks=False).st_mode):
                raise ObjectRejectedError(f"'{name.decode()}' is no directory", where=directory)
            delete_tree(target, name)
            keeper.copy(source, name, target)
        return keeper.skipped
    finally:
        os.close(source)
        os.close(target)
