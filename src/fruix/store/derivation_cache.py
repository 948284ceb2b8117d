"""Derivations that were parsed lately.

Their files never change, since a path is the hash of its text, so this can't go stale.

Validity is not remembered here: whoever asks has asked the database. Thread-safe; bounded by a
number of derivations and of bytes. What has to be parsed is charged to the request that asks for it
(see `memory`).
"""

from __future__ import annotations

import os
import stat
import threading
from collections import OrderedDict
from collections.abc import Callable

from fruix.errors import BadDerivationError, InvalidPathError
from fruix.model import aterm
from fruix.model.derivation import Derivation
from fruix.model.storepath import StorePath
from fruix.store.memory import charge
from fruix.store.tree.descriptors import NO_DIRECTORY, OPEN_FILE
from fruix.store.tree.file_contents import at_once

MIB = 1 << 20
LIMIT = 1024
SIZE_LIMIT = 64 << 20  # bytes that they take in memory, all together
_BIGGEST = 1 << 16  # bytes of text; larger ones are parsed each time


class DerivationCache:
    """The least recently used one makes room."""

    def __init__(self) -> None:
        self._known: OrderedDict[StorePath, tuple[Derivation, int]] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def get(self, path: StorePath, read: Callable[[StorePath], bytes]) -> Derivation:
        """The derivation at `path`, whose bytes `read` gives if they are needed.

        Raises:
            BadDerivationError: it is none.
        """
        return self.known(path) or self.parse(path, read(path))

    def known(self, path: StorePath) -> Derivation | None:
        """The derivation at `path`, if it was parsed lately."""
        if path not in self._known:
            return None
        with self._lock:
            known = self._known.get(path)
            if known is None:
                return None
            self._known.move_to_end(path)
            return known[0]

    def parse(self, path: StorePath, data: bytes) -> Derivation:
        """Parse the text that `path` names, and remember the result.

        Raises:
            BadDerivationError: it is none.
            MemoryLimitError: the client has the daemon hold too much already.
        """
        size = aterm.held(data)
        charge(size)
        derivation = aterm.parse(data, path.short_name, path.directory)
        if len(data) <= _BIGGEST:
            with self._lock:
                self._remember(path, derivation, size)
        return derivation

    def _remember(self, path: StorePath, derivation: Derivation, size: int) -> None:
        if path in self._known:
            return
        self._known[path] = derivation, size
        self._size += size
        while len(self._known) > LIMIT or self._size > SIZE_LIMIT:
            _, (_, forgotten) = self._known.popitem(last=False)
            self._size -= forgotten


def check_size(name: str, size: int, most: int) -> None:
    """Refuse a derivation that is too large before anything is done with it.

    Raises:
        BadDerivationError: `name` is a derivation's, and `size` is more than `most`, both in bytes.
    """
    if name.endswith(".drv") and size > most:
        raise BadDerivationError(
            f"a derivation of {size / MIB:.1f} MiB, at most {most / MIB:.1f} MiB are allowed",
            where=name,
            hint="put big texts into files of their own; "
            "the daemon's setting 'max-derivation-size' allows more",
        )


def read_file(store: int, path: StorePath, most: int) -> bytes:
    """The bytes of a derivation's file, of which there may be `most`, in the store that is open as `store`.

    Raises:
        BadDerivationError: too large, or no plain file.
        InvalidPathError: there is none.
    """
    try:
        descriptor = os.open(path.text.rpartition("/")[2], OPEN_FILE, dir_fd=store)
    except FileNotFoundError as error:
        raise InvalidPathError(str(path), hint="its file is missing from the store") from error
    except OSError as error:
        if error.errno not in NO_DIRECTORY:  # what systems say of a symlink
            raise
        raise _no_file(path) from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o100:
            raise _no_file(path)
        size = status.st_size
        if size > most:
            check_size(path.text, size, most)
        return at_once(descriptor, size, path.__str__)
    finally:
        os.close(descriptor)


def _no_file(path: StorePath) -> BadDerivationError:
    return BadDerivationError("derivation is no plain file", where=str(path))
