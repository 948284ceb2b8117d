"""Directories, files and links that a sandbox's root holds, made below the current directory.

Every path is walked through directory descriptors without following links, and made where it is missing.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator
from typing import Self

from fruix.sandbox.spec import File, Link

_HERE = -100  # AT_FDCWD, on every system that has it: the current directory
_NO_NAMES = ("", ".", "..")
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def make_files(files: Iterable[File]) -> None:
    """Make the generated files below the working directory, with their modes."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with HeldParent() as held:
        for file in files:
            directory, name = held.of(file.path)
            descriptor = os.open(name, flags, 0o600, dir_fd=directory)
            try:
                view = memoryview(file.data)
                while view:
                    view = view[os.write(descriptor, view) :]
                os.fchmod(descriptor, file.mode)
            finally:
                os.close(descriptor)


def make_links(links: Iterable[Link]) -> None:
    """Make the symlinks of a specification below the working directory."""
    with HeldParent() as held:
        for link in links:
            directory, name = held.of(link.path)
            os.symlink(link.target, name, dir_fd=directory)


def make_directories(paths: Iterable[str]) -> None:
    """Directories that are to be mounted on, or that are just there."""
    with HeldParent() as held:
        for path in paths:
            directory, name = held.of(path)
            try:
                os.mkdir(name, 0o755, dir_fd=directory)
            except FileExistsError:
                os.close(os.open(name, _DIRECTORY, dir_fd=directory))


def make_target(directory: int, name: str, kind: int) -> None:
    """Make a directory or file (`stat.S_IF…`) to be mounted on; one may be there already.

    One of the other kind that was kept is replaced (see `building.kept_points`).
    """
    try:
        found = stat.S_IFMT(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        _make_empty(directory, name, kind)
        return
    if found != kind:
        remove = os.rmdir if found == stat.S_IFDIR else os.unlink
        remove(name, dir_fd=directory)
        _make_empty(directory, name, kind)


def _make_empty(directory: int, name: str, kind: int) -> None:
    if kind == stat.S_IFDIR:
        os.mkdir(name, 0o755, dir_fd=directory)
    else:
        os.mknod(name, stat.S_IFREG | 0o444, dir_fd=directory)


@contextlib.contextmanager
def parent_of(path: str) -> Iterator[tuple[int, str]]:
    """The directory in which `path` lies, open, and its last part."""
    parts = _parts(path)
    directory = _walk(parts[:-1])
    try:
        yield directory, parts[-1]
    finally:
        os.close(directory)


class HeldDirectory:
    """A directory, kept open until another one takes its place. A context manager.

    Attributes:
        path: what it was opened as, a slash at its end; None while there is none.
        descriptor: of it.
    """

    def __init__(self) -> None:
        self.path: str | None = None
        self.descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._let_go()

    def hold(self, path: str, descriptor: int) -> None:
        """Take an open directory, in place of the one before."""
        self._let_go()
        self.path, self.descriptor = path, descriptor

    def _let_go(self) -> None:
        if self.path is not None:
            os.close(self.descriptor)


class HeldParent(HeldDirectory):
    """The directory in which the last path lay: hundreds of inputs lie in the store's directory.

    Whatever is mounted at a path lies below the directory that is held, so that one never goes out of sight.
    """

    def of(self, path: str) -> tuple[int, str]:
        """The directory in which `path` lies, open until the next call, and its last part."""
        above = path[: path.rfind("/") + 1]
        name = path[len(above) :]
        if above != self.path or name in _NO_NAMES:
            *parts, name = _parts(path)
            self.hold("".join(f"/{part}" for part in parts) + "/", _walk(parts))
        return self.descriptor, name


def open_directory(path: str) -> int:
    """A directory, open; made if it is missing."""
    return _walk(_parts(path))


def _walk(parts: list[str]) -> int:
    """Open the directory below the current one, making what is missing, following no link."""
    if not parts:
        return os.open(".", _DIRECTORY)
    directory = _HERE
    for part in parts:
        try:
            try:
                below = os.open(part, _DIRECTORY, dir_fd=directory)
            except FileNotFoundError:
                os.mkdir(part, 0o755, dir_fd=directory)
                below = os.open(part, _DIRECTORY, dir_fd=directory)
        finally:
            if directory != _HERE:
                os.close(directory)
        directory = below
    return directory


def _parts(path: str) -> list[str]:
    parts = path.strip("/").split("/")
    if not path.startswith("/") or any(map(_NO_NAMES.__contains__, parts)):
        raise OSError(22, f"not a plain absolute path: {path}")
    return parts
