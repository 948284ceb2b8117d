"""The usual case of a text that is added: there is no such path yet, and nothing is in the way.

The order is that of all ways into the store (`add`), with the same parts; what is spared are the values
between them, and the question whether the path is valid: where nothing has its name it can be only if it
was deleted by hand, which the row itself tells, before the file gets that name.

None is returned, or an error raised, before the text is valid: then nothing is left of it but its temporary
root, and whoever asks takes the careful way, which tells what is wrong.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from fruix.model import base32
from fruix.model.hashes import sha256
from fruix.model.makepath import make_store_path
from fruix.model.nar.write import plain_file
from fruix.model.storepath import StorePath
from fruix.model.text_object import AddedText
from fruix.store.collection.temp_roots import TempRoots
from fruix.store.derivation_cache import check_size
from fruix.store.objects.staging import Staging
from fruix.store.room import Room
from fruix.store.tree.descriptors import CREATE_FILE, exists, write_all
from fruix.store.tree.metadata import FILE_MODES, TIMES

_MODE = FILE_MODES[False]
Register = Callable[[AddedText, bytes, Callable[[], None]], None]
"""Makes a text valid, or fails if it is; gets its bytes, and what puts its file in its place before that."""


class NewTexts:
    """Adds texts to one store. Thread-safe, like its parts."""

    def __init__(
        self,
        directory: str,
        *,
        staging: Staging,
        room: Room,
        roots: TempRoots,
        valid: Callable[[StorePath], bool],
        register: Register,
    ) -> None:
        """See `add` for what the parts are asked."""
        self._directory = directory
        self._staging = staging
        self._room = room
        self._roots = roots
        self._valid = valid
        self._register = register

    def add(self, name: str, contents: bytes, references: Sequence[str]) -> AddedText | None:
        """Add a text that is new, and none that needs more than this.

        Args:
            name: whatever a client calls it.
            contents: its bytes.
            references: well-formed paths, each once, in order.

        Raises:
            FruixError, OSError: nothing was added.
        """
        check_size(name, len(contents), self._room.limits.max_derivation)
        digest = sha256(contents).digest()
        path = make_store_path(":".join(("text", *references)), digest, name, self._directory)
        self._roots.add(path)
        base = path.base
        if exists(self._staging.store, base):
            return None
        self._room.spend(len(contents))
        archive = plain_file(contents, executable=False)
        address, hashed = f"text:sha256:{base32.encode(digest)}", sha256(archive).digest()
        text = AddedText(path, address, hashed, len(archive), references, int(time.time()))
        with self._staging.place() as place:
            inode = write_plain(self._staging.directory, place, (contents,))
            try:
                self._register(text, contents, partial(self._staging.publish, place, base, directory=False))
            except BaseException:
                if not self._valid(path):
                    self._staging.retract(base, inode)
                raise
        return text


def write_plain(directory: int, name: bytes, chunks: Iterable[bytes]) -> int:
    """Make a plain file as objects are, of what comes; returns its inode's number."""
    descriptor = os.open(name, CREATE_FILE, _MODE, dir_fd=directory)
    try:
        for chunk in chunks:
            write_all(descriptor, chunk)
        status = os.fstat(descriptor)
        if stat.S_IMODE(status.st_mode) != _MODE:  # the mask took some of it
            os.fchmod(descriptor, _MODE)
        os.utime(descriptor, ns=TIMES)
        return status.st_ino
    finally:
        os.close(descriptor)
