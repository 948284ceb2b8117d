"""Builders that talk to the daemon (recursive Nix): what of the store they may know, and how they see it.

What a builder may know is the closure of its inputs, and then what it adds, and the closures of
what it has built. Everything else of the store doesn't exist for it, whatever it names. What is new is
copied into the build's own store directory, which the sandbox shows already: nothing is mounted
into a running sandbox, and no inode of the store can be reached by way of a copy. The copy is made
where the builder can't come and gets its name by one rename; as root's it can't be changed, but
where a builder shares the daemon's user, and there the builder spoils its own view alone.

The store holds on to all of it until the build has ended. The daemon's sessions, which are given
to `Resources.serve`, do the talking (`fruix.daemon.nested`).
"""

from __future__ import annotations

import errno
import os
import socket
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

from fruix.dataclass import dataclass
from fruix.errors import FruixError, NotPermittedError
from fruix.model.build_options import BuildOptions
from fruix.model.storepath import StorePath
from fruix.store import LocalStore
from fruix.store.tree.descriptors import OPEN_DIRECTORY, exists, opened_directory

SOCKET = ".nix-socket"
"""In the working directory, as with Nix."""
BACKLOG = 16
# Paths that one build may add to what it knows, and outputs whose places it may ask for.
MOST = 1 << 16
_COPIES = "added"  # in the workspace, for root alone


@dataclass(frozen=True, slots=True)
class NestedBuild:
    """What is fixed of a build whose builder may talk to the daemon.

    Attributes:
        drv: its derivation.
        base: the directory with its directories.
        given: the closure of its inputs.
        outputs: their paths.
        shown: base names of what is mounted in its store directory besides.
    """

    drv: StorePath
    base: str
    given: frozenset[StorePath]
    outputs: frozenset[StorePath]
    shown: frozenset[str] = frozenset()


class KnownPaths:
    """What the builder of one build may know of the store. Thread-safe."""

    def __init__(self, store: LocalStore, build: NestedBuild, roots: set[StorePath]) -> None:
        """`roots`: what the store keeps until the outputs are registered."""
        self.drv = build.drv
        self._store = store
        self._build = build
        self._added: set[StorePath] = set()
        self._realised: set[str] = set()
        self._roots = roots
        self._lock = threading.Lock()
        self._ended = False
        os.mkdir(f"{build.base}/{_COPIES}", 0o700)

    def __contains__(self, path: StorePath) -> bool:
        return path in self._build.given or path in self._added

    def all(self) -> list[StorePath]:
        """Everything that it may know."""
        with self._lock:
            return sorted(self._build.given | self._added)

    @property
    def added(self) -> list[StorePath]:
        """What has come to what it was given."""
        with self._lock:
            return sorted(self._added)

    def add(self, paths: Iterable[StorePath]) -> None:
        """Let it know of valid paths and see them, with all that they refer to.

        Raises:
            FruixError: they are too many, one is an output of this very build, or the builder has
                made something in its place; or the build has ended.
        """
        with self._lock:
            new = sorted(self._store.closure(path for path in paths if path not in self) - self._build.given)
            new = [path for path in new if path not in self._added]
            self._check(new)
            with self._store.temp_roots.session(self._roots):
                self._store.temp_roots.add_all(new)
            for path in new:
                if path.base not in self._build.shown:
                    self._show(path)
                self._added.add(path)

    def _check(self, new: Collection[StorePath]) -> None:
        if self._ended:
            raise FruixError(f"the build of '{self.drv}' has ended")
        if len(self._added) + len(new) > MOST:
            raise NotPermittedError(f"a build may add at most {MOST} paths to what it sees of the store")
        if own := self._build.outputs.intersection(new):
            raise NotPermittedError(f"'{min(own)}' is an output of the build that asks for it")

    def _show(self, path: StorePath) -> None:
        """Copy it into the build's own store directory."""
        base = os.open(self._build.base, OPEN_DIRECTORY)
        try:
            with opened_directory(base, _COPIES) as copies, opened_directory(base, "store") as shown:
                if exists(shown, path.base):
                    raise NotPermittedError(f"the builder has made '{path}' itself", hint="remove it there")
                self._store.copy_object(path, copies)
                os.rename(path.base, path.base, src_dir_fd=copies, dst_dir_fd=shown)
        finally:
            os.close(base)

    def realised(self, ids: Collection[str]) -> None:
        """Let it ask where outputs are that it has built."""
        with self._lock:
            if len(self._realised) + len(ids) <= MOST:
                self._realised.update(ids)

    def may_ask_for(self, output: str) -> bool:
        """Whether it has built the output with that id."""
        with self._lock:
            return output in self._realised

    def end(self) -> None:
        """Nothing can be added any more."""
        with self._lock:
            self._ended = True


@dataclass(frozen=True, slots=True)
class Talk:
    """What sessions with a builder need.

    Attributes:
        listener: where it connects.
        known: what it may know.
        uid: who it is on this machine.
        options: what those wanted who asked for the build.
    """

    listener: socket.socket
    known: KnownPaths
    uid: int
    options: BuildOptions


Serve = Callable[[Talk], AbstractContextManager[None]]
"""Serves a builder meanwhile; when it ends, nobody is served any more."""


def nobody(_talk: Talk) -> AbstractContextManager[None]:
    """Where there is no daemon around the builds.

    Raises:
        FruixError: always.
    """
    raise FruixError("builders can't talk to a daemon here")


@contextmanager
def listening(build: str, uid: int) -> Iterator[socket.socket]:
    """A socket in the build's working directory that its builder alone can connect to.

    No process of the build exists yet; the directory above lets nobody else in.

    Args:
        build: that directory.
        uid: who owns it.

    Raises:
        FruixError: its name is too long for a socket in it, on this system.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    directory = os.open(build, OPEN_DIRECTORY)
    try:
        # By its descriptor where there is such a name: those of sockets have to be short.
        by_descriptor = f"/proc/self/fd/{directory}"
        place = by_descriptor if os.path.isdir(by_descriptor) else build
        listener.bind(f"{place}/{SOCKET}")
        os.chown(SOCKET, uid, uid, dir_fd=directory, follow_symlinks=False)
        listener.listen(BACKLOG)
        try:
            yield listener
        finally:
            with suppress(OSError):  # the builder may have put anything in its place
                os.unlink(SOCKET, dir_fd=directory)
    except OSError as error:
        if error.errno is None or error.errno == errno.ENAMETOOLONG:
            raise FruixError(f"'{build}' is too long for the name of a socket") from error
        raise
    finally:
        os.close(directory)
        listener.close()
