"""Keeping what a failed build left: a copy of its directories, for the user who asked, under a private name.

    kept/                          0711 root
    kept/UID/                      0700 UID
    kept/UID/NAME/                 0700 UID, NAME as the sandbox's
    kept/UID/NAME/build, tmp, store    what was there (empty ones are left out)
    kept/UID/NAME/environment      the builder's variables, as a shell script

Never the directories themselves and never a `chown -R`: a builder could have left hard links to files that aren't its own. The copy is made of fresh
inodes below a name that only root may enter, of regular files that belong to the build user, directories and
symlinks, without set-id bits; then it gets its name by one rename. What is left out is counted and said. If there isn't room for it
(`min-free` would be passed) nothing is kept. Nobody deletes it but its owner.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping

from fruix.build.attempt import Attempt
from fruix.build.resources import Resources
from fruix.build.workspace import Workspace
from fruix.errors import FruixError, ObjectRejectedError
from fruix.model.reasons import reason
from fruix.sandbox import Exec
from fruix.store.tree import delete_tree, open_chain
from fruix.store.tree.descriptors import CREATE_FILE, OPEN_DIRECTORY, open_directory, write_all
from fruix.store.tree.keep import Keeper

# Names of copies that are being made; a start removes those that a crash left.
UNFINISHED = ".new-"
_PARTS = ("build", "tmp", "store")


def keep_build(attempt: Attempt, area: Workspace, with_: Resources) -> str:
    """Copy `area`; the name of the copy, or "" if it couldn't be made. Either way the client is told."""
    asker = attempt.job.options.asker
    uid, gid = (asker.uid, asker.gid) if asker else (os.getuid(), os.getgid())
    spec = attempt.spec
    environment = spec.program.environment if spec and isinstance(spec.program, Exec) else {}
    build_uid = spec.identity.uid if spec else -1
    try:
        keeper = Keeper(build_uid, uid, gid, room=_room(with_))
        path = _keep(with_.store.layout.kept, area, keeper, environment)
    except (OSError, FruixError) as error:
        attempt.note(reason("not-kept", text=str(error)), late=True)
        return ""
    attempt.note(reason("kept", path=path), late=True)
    if keeper.skipped:
        attempt.note(reason("kept-without", count=keeper.skipped), late=True)
    return path


def _room(with_: Resources) -> int:
    status = os.statvfs(with_.store.layout.state)
    return max(0, status.f_bavail * status.f_frsize - with_.settings.min_free)


def _keep(kept: str, area: Workspace, keeper: Keeper, environment: Mapping[str, str]) -> str:
    parent = open_chain(kept)
    try:
        unfinished = UNFINISHED + area.name
        os.mkdir(unfinished, 0o700, dir_fd=parent)
        try:
            _fill(parent, unfinished, area, keeper, environment)
            return f"{kept}/{_place(parent, unfinished, area.name, keeper)}"
        except BaseException:
            delete_tree(parent, os.fsencode(unfinished))
            raise
    finally:
        os.close(parent)


def _fill(
    parent: int, unfinished: str, area: Workspace, keeper: Keeper, environment: Mapping[str, str]
) -> None:
    base = open_chain(area.base)
    target = open_directory(parent, os.fsencode(unfinished))
    try:
        for name in map(os.fsencode, _PARTS):
            directory = open_directory(base, name)
            try:
                wanted = name == b"build" or bool(os.listdir(directory))
            finally:
                os.close(directory)
            if wanted:
                keeper.copy(base, name, target)
        script = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in environment.items())
        _write(target, "environment", script.encode("utf-8", "surrogateescape"), keeper)
        os.fchown(target, keeper.uid, keeper.gid)
    finally:
        os.close(target)
        os.close(base)


def _write(directory: int, name: str, data: bytes, keeper: Keeper) -> None:
    descriptor = os.open(name, CREATE_FILE, 0o600, dir_fd=directory)
    try:
        write_all(descriptor, data)
        os.fchown(descriptor, keeper.uid, keeper.gid)
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
