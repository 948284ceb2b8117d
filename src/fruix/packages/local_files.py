"""What of a directory is a source: all but what is excluded, and of a Git work tree what Git does not ignore.

Nothing of Git's own (`.git`) is ever part of it, so a commit that changes no file changes no
source. Git is asked for the names (`git ls-files`): whoever has a work tree and no program `git` is
told so. Cost: what is left out makes a copy of the rest necessary, in the directory for temporary
files.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from fruix.errors import UsageError

_OWN = ".git"
# A repository's own configuration may name programs to run; none is needed here. Whose the files
# are doesn't matter either.
_GIT = ("git", "-c", "safe.directory=*", "-c", "core.fsmonitor=false", "-c", "core.quotePath=false")
_LIST = ("ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", ".")


@contextmanager
def selected(path: str, exclude: Sequence[str]) -> Iterator[str]:
    """A path with what belongs to the source and nothing else.

    It is the given path, or a copy for the length of the context.

    Raises:
        UsageError: it is in a Git work tree, and Git can't be asked; or nothing is left of it.
    """
    if os.path.islink(path) or not os.path.isdir(path):
        yield os.path.realpath(path)
        return
    tracked = _not_ignored(path) if _in_work_tree(path) else None
    everything = list(_walk(path))
    kept = [name for name in everything if _is_kept(name, exclude, tracked)]
    if not any(not os.path.isdir(f"{path}/{name}") for name in kept) and everything:
        raise UsageError(f"nothing is left of {path}", hint="Git ignores all of it, or 'exclude' names it")
    if len(kept) == len(everything):
        yield path
        return
    import tempfile  # noqa: PLC0415 - seldom needed

    with tempfile.TemporaryDirectory(prefix="fruix-source-") as directory:
        copy = os.path.join(directory, "source")
        os.mkdir(copy)
        for name in kept:
            _copy(f"{path}/{name}", f"{copy}/{name}")
        yield copy


def _walk(top: str) -> Iterator[str]:
    """Names below a directory, parents first.

    Raises:
        OSError: a directory can't be read.
    """
    for directory, directories, files in os.walk(top, onerror=_raise):
        for name in (*directories, *files):
            yield os.path.relpath(os.path.join(directory, name), top)


def _raise(error: OSError) -> None:
    raise error


def _is_kept(name: str, exclude: Iterable[str], tracked: frozenset[str] | None) -> bool:
    if tracked is not None and name not in tracked:
        return False
    parts = name.split("/")
    above = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
    return _OWN not in parts and not any(
        fnmatch.fnmatchcase(item if "/" in pattern else os.path.basename(item), pattern.strip("/"))
        for pattern in exclude
        for item in above
    )


def _in_work_tree(path: str) -> bool:
    directory = os.path.realpath(path)
    while not (found := os.path.exists(os.path.join(directory, _OWN))) and directory != "/":
        directory = os.path.dirname(directory)
    return found


def _not_ignored(path: str) -> frozenset[str]:
    """Files that are tracked or could be, the directories that they are in, and all of submodules."""
    import subprocess  # noqa: PLC0415 - seldom needed

    try:
        done = subprocess.run([*_GIT, "-C", path, *_LIST], capture_output=True, check=False)
    except OSError as error:
        hint = "install git, or copy the source out of the work tree"
        raise UsageError(
            f"{path} is in a Git work tree, and git can't be run: {error.strerror}", hint=hint
        ) from error
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()
        raise UsageError(f"git can't list the files of {path}: {said}", hint="look with git status")
    names = [os.fsdecode(name) for name in done.stdout.split(b"\0") if name]
    inside = [
        os.path.join(name, deeper)
        for name in names
        if os.path.isdir(f"{path}/{name}") and not os.path.islink(f"{path}/{name}")
        for deeper in _not_ignored(f"{path}/{name}")
    ]
    found = {*names, *inside}
    for name in (*names, *inside):
        while name := os.path.dirname(name):
            found.add(name)
    return frozenset(name.rstrip("/") for name in found)


def _copy(source: str, target: str) -> None:
    if os.path.islink(source):
        os.symlink(os.readlink(source), target)
    elif os.path.isdir(source):
        os.mkdir(target)
    else:
        import shutil  # noqa: PLC0415 - seldom needed

        shutil.copyfile(source, target)
        shutil.copymode(source, target)
