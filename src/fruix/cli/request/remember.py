"""What a build that went well leaves for the next command with the same words (`fruix.cli.remembered`)."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from fruix.atomic_file import write_file
from fruix.cli import remembered
from fruix.cli.request.connect import layout, no_daemon, seen_outside
from fruix.client import RemoteStore, socket_path
from fruix.client.address import connected
from fruix.errors import FruixError, UnreachableError
from fruix.model.storepath import StorePath

if TYPE_CHECKING:
    import socket

_MOST_FILES = 64
_SETTLED = 1_000_000_000  # nanoseconds: clocks of file systems may be behind


def remember(
    store: RemoteStore, words: Sequence[str], drvs: Sequence[StorePath], outputs: Sequence[StorePath]
) -> None:
    """Remember that `words` stand for derivations with these outputs, all of them valid.

    Nothing is remembered where a file changed after the command began: it may have been read before.
    Where nothing can be written it is left.
    """
    place = remembered.place(words, os.environ)
    if place is None or not outputs:
        return
    with suppress(OSError, FruixError):
        files = _files(words)
        if max(os.stat(file).st_ctime_ns for file in files) > remembered.BEGUN - _SETTLED:
            return
        said, question = _question(store, {*drvs, *outputs})
        paths = ([path.text for path in each] for each in (outputs, drvs))
        lines = [
            remembered.HEAD,
            remembered.circumstances(os.environ),
            *("\t".join(parts) for parts in (said, *paths, question)),
            *map(remembered.state, files),
        ]
        if question and not any("\n" in line for line in lines) and _prepare(place):
            write_file(place, "\n".join(lines).encode("utf-8", "surrogateescape"), mode=0o600)


def _prepare(place: str) -> bool:
    """Make room for the file; False if others could change its directory, or it is another user's."""
    directory = os.path.dirname(place)
    os.makedirs(directory, mode=0o700, exist_ok=True)
    for each in (directory, os.path.dirname(directory), os.path.dirname(os.path.dirname(directory))):
        found = os.stat(each)
        if found.st_uid != os.geteuid() or found.st_mode & 0o22:
            return False
    files = [os.path.join(directory, name) for name in os.listdir(directory)]
    for file in sorted(files, key=lambda file: os.lstat(file).st_mtime_ns)[: -_MOST_FILES + 1]:
        os.unlink(file)
    return True


def _files(words: Sequence[str]) -> list[str]:
    """All of Fruix's files that took part, and the directories in which others would be found."""
    modules = [module for name, module in sys.modules.items() if name.partition(".")[0] == "fruix"]
    files = {file for module in modules if (file := getattr(module, "__file__", None))}
    if all("/" in word for word in words):  # no definition has been read
        return sorted(files)
    from fruix.packages import catalogue, roots  # noqa: PLC0415 - which are there already

    pins = {entry.path for directory in roots.__path__ for entry in os.scandir(directory) if entry.is_file()}
    return sorted({*files, *pins, *catalogue.__path__, *roots.__path__})


def _question(store: RemoteStore, paths: set[StorePath]) -> tuple[list[str], list[str]]:
    """What is said if nothing is to be done, and how it is found out; nothing, if not all is valid."""
    ordered = sorted(paths)
    address = socket_path(os.environ)
    try:
        overheard = _Overheard(connected(address))
    except UnreachableError:
        if store.valid_paths(ordered) != paths:
            return [], []
        sockets = {address, seen_outside(address)}
        if any(":" in each for each in sockets):
            return [], []
        question = [remembered.EMBEDDED, seen_outside(layout().state), ":".join(sockets)]
        return [no_daemon(), remembered.SAID], [*question, *(path.text for path in ordered)]
    with RemoteStore(cast("socket.socket", overheard), store.directory) as asked:
        if asked.valid_paths(ordered) != paths:
            return [], []
    talk = (overheard.sent.hex(), overheard.received.hex())
    return [remembered.SAID], [remembered.DAEMON, seen_outside(address), *talk]


class _Overheard:
    """A connection that keeps what is said on it."""

    def __init__(self, stream: socket.socket) -> None:
        self._stream = stream
        self.sent, self.received = bytearray(), bytearray()

    def sendall(self, data: bytes) -> None:
        self.sent += data
        self._stream.sendall(data)

    def recv(self, limit: int) -> bytes:
        data = self._stream.recv(limit)
        self.received += data
        return data

    def close(self) -> None:
        self._stream.close()
