"""Where a store's parts lie: the directories, their names, owners and modes (docs/store.md).

`Layout` is three texts and the names derived from them; `create` makes what is missing and refuses
what is unsafe. The environment variables of the peers are honoured, so that one environment serves
all clients.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from typing import Self

from fruix.dataclass import dataclass
from fruix.errors import StoreError
from fruix.model.storepath import DEFAULT_STORE, StorePath
from fruix.store import places

DEFAULT_STATE, DEFAULT_LOG = places.DEFAULT_STATE, places.DEFAULT_LOG


@dataclass(frozen=True, slots=True)
class Layout:
    """The three directories of a store; absolute, without a slash at the end.

    Attributes:
        has_links: the directory of links (`deduplication.links`) is there even when it is empty, as
            in stores of Nix and Guix.
    """

    store: str = DEFAULT_STORE
    state: str = DEFAULT_STATE
    log: str = DEFAULT_LOG
    has_links: bool = False

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """The layout that the environment asks for.

        Raises:
            UsageError: a variable holds something that is no absolute, normal path.
        """
        directories = {field: places.directory(environment, field) for field in places.VARIABLES}
        own, of_peers = (bool(environment.get(variable)) for variable in places.VARIABLES["store"])
        return cls(**directories, has_links=of_peers and not own)

    @property
    def database(self) -> str:
        """The SQLite file; `schema` and `reserved` lie beside it."""
        return f"{self.state}/db/db.sqlite"

    @property
    def locks(self) -> str:
        """Lock files of store paths that are being made."""
        return f"{self.state}/locks"

    @property
    def staging(self) -> tuple[str, str, str]:
        """Where objects are made before they get their final names.

        The others are for when a rename into the store isn't possible from the first: beside the
        store, and in it, if that is a file system of its own.
        """
        parent, name = os.path.split(self.store)
        beside = f"{parent.rstrip('/')}/.{name}.staging"
        return f"{self.state}/staging", beside, f"{self.store}/.staging"

    @property
    def gcroots(self) -> str:
        """Links that keep paths alive."""
        return f"{self.state}/gcroots"

    @property
    def profiles(self) -> str:
        """Generations of profiles."""
        return f"{self.state}/profiles"

    @property
    def temproots(self) -> str:
        """Roots of running sessions."""
        return f"{self.state}/temproots"

    @property
    def userpool(self) -> str:
        """Lock files of build users, where all daemons of the machine have no place in common."""
        return f"{self.state}/userpool"

    @property
    def builds(self) -> str:
        """Build directories and their journals; only the daemon may enter."""
        return f"{self.state}/builds"

    @property
    def kept(self) -> str:
        """What failed builds left, below the number of the user who asked to keep it."""
        return f"{self.state}/kept"

    @property
    def views(self) -> str:
        """What is remembered about host views."""
        return f"{self.state}/views"

    @property
    def prepared(self) -> str:
        """Copies of what host views show, where builds mount these."""
        return f"{self.state}/prepared"

    @property
    def history(self) -> str:
        """How long builds took."""
        return f"{self.state}/history.jsonl"

    @property
    def socket(self) -> str:
        """Where the daemon listens."""
        return places.socket(self.state)

    @property
    def embedded_socket(self) -> str:
        """Where a daemon that has one client alone tells others what it builds."""
        return f"{self.state}/daemon-socket/embedded"

    @property
    def logs(self) -> str:
        """Build logs."""
        return f"{self.log}/drvs"

    def log_file(self, drv: StorePath, *, check: bool = False) -> str:
        """See `places.log_file`."""
        return places.log_file(self.log, drv.base, check=check)

    def create(self) -> None:
        """Make all directories that are missing, and check those that are there.

        What is in the state directory is closed to others, who may only pass through it to the
        socket, to profiles and roots, and to what was kept for them. Modes of an older version are
        corrected.

        Raises:
            StoreError: the store or a parent of it is a symlink, or a directory could be changed by
                anybody.
            OSError: as the system says.
        """
        _refuse_symlinks(self.store)
        self._give_up_reserve()
        links = (f"{self.store}/.links",) if self.has_links else ()
        for path in (self.store, *links, self.log, self.logs):
            _make(path, 0o755)
        for path, mode in self._private():
            _make(path, mode)
            _close(path, mode)
        for path in self._files():
            _close(path, 0o600)
        _link("../profiles", f"{self.gcroots}/profiles")

    def _give_up_reserve(self) -> None:
        """On a full disk, so that the store can be opened, to answer questions and to collect garbage."""
        from fruix.store.database_errors import is_full  # noqa: PLC0415 - clients need no SQLite

        if os.path.isdir(self.state) and is_full(self.state):
            with suppress(FileNotFoundError):
                os.unlink(f"{self.state}/db/reserved")

    def _private(self) -> tuple[tuple[str, int], ...]:
        """The directories of the state.

        0711: names in it can be used by who knows them, and by nobody be listed or locked.
        """
        state = self.state
        return (
            (state, 0o711),
            (f"{state}/db", 0o700),
            (self.gcroots, 0o711),
            (f"{self.gcroots}/auto", 0o700),
            (f"{self.gcroots}/per-user", 0o711),
            (self.profiles, 0o711),
            (f"{self.profiles}/per-user", 0o711),
            (self.temproots, 0o700),
            (self.userpool, 0o700),
            (self.builds, 0o700),  # nobody may enter a build in progress
            (self.kept, 0o711),  # each user's own is found only by its number
            (self.views, 0o700),
            (self.prepared, 0o700),
            (self.locks, 0o700),
            (self.staging[0], 0o700),
            (f"{state}/daemon-socket", 0o711),
        )

    def _files(self) -> tuple[str, ...]:
        """Files that older versions let others read, and so lock."""
        database = (f"{self.database}{suffix}" for suffix in ("", "-wal", "-shm"))
        return (*database, f"{self.state}/db/schema", f"{self.state}/daemon.lock", self.history)

    def exposed_parents(self, *, sticky: bool = True) -> list[str]:
        """The parents of store and state that anybody can write: unfit for a daemon.

        `sticky`: also those with the sticky bit in which the next directory of the path is this
        process' own, so that nobody else can replace it.
        """
        found = set()
        for path in (self.store, self.state):
            parents = _parents(path)
            for parent, below in zip(parents, (*parents[1:], path), strict=True):
                mode = os.stat(parent).st_mode
                kept = mode & stat.S_ISVTX and os.lstat(below).st_uid == os.geteuid()
                if mode & stat.S_IWOTH and (sticky or not kept):
                    found.add(parent)
        return sorted(found)


def _parents(path: str) -> list[str]:
    """All proper parents that exist, from the root on."""
    parts = path.split("/")[1:-1]
    candidates = ["/", *("/" + "/".join(parts[: count + 1]) for count in range(len(parts)))]
    return [candidate for candidate in candidates if os.path.isdir(candidate)]


def _refuse_symlinks(store: str) -> None:
    for path in [*_parents(store), store]:
        if os.path.islink(path):
            raise StoreError(
                f"the path '{path}' is a symlink; "
                "this is not allowed for the store and its parent directories",
                hint="set FRUIX_STORE_DIR to the real directory",
            )


def _make(path: str, mode: int) -> None:
    """Make a directory with its parents; mode as given whatever the umask, 0755 for the parents."""
    missing = []
    current = path
    while not os.path.lexists(current):
        missing.append(current)
        current = os.path.dirname(current)
    for directory in reversed(missing):
        try:
            os.mkdir(directory, 0o700)
        except FileExistsError:
            continue  # another process was faster
        os.chmod(directory, mode if directory == path else 0o755)
    status = os.stat(path)
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
    if status.st_mode & stat.S_IWOTH or status.st_uid not in {0, os.geteuid()}:
        raise StoreError(
            f"the directory could be changed by others "
            f"(owner {status.st_uid}, mode {stat.S_IMODE(status.st_mode):04o})",
            where=path,
            hint="give it to the daemon's user and take away the write permission of others",
        )


def _close(path: str, mode: int) -> None:
    """Take away what a mode allows beyond `mode`.

    Without opening it: closing would drop SQLite's locks.
    """
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return
    found = stat.S_IMODE(status.st_mode)
    if found & ~mode and not stat.S_ISLNK(status.st_mode) and status.st_uid == os.geteuid():
        os.chmod(path, found & mode)


def _link(target: str, path: str) -> None:
    try:
        os.symlink(target, path)
    except FileExistsError:
        return
