"""Archives as `bare_daemon.py` unpacks and writes them: with the calls of the system alone."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Iterator

from bare_common import U64, number, string

_PIECE = 1 << 18


class Unpacking:
    """An archive of files in directories, without executables or links, becomes that."""

    def __init__(self, directory: str, number: int, pieces: Iterator[bytes]) -> None:
        self.name = b".%d" % number
        self.hash, self.size = hashlib.sha256(), 0
        self._pieces, self._data, self._at = pieces, b"", 0
        self._string()
        self._node(directory.encode() + b"/" + self.name)

    def _more(self) -> None:
        piece = next(self._pieces)
        self.hash.update(piece)
        self.size += len(piece)
        self._data, self._at = self._data[self._at :] + piece, 0

    def _string(self) -> bytes:
        while len(self._data) - self._at < 8:
            self._more()
        size: int = U64.unpack_from(self._data, self._at)[0]
        end = self._at + 8 + size + -size % 8
        while len(self._data) < end:
            before = self._at
            self._more()
            end -= before
        self._at, begun = end, self._at + 8
        return self._data[begun : begun + size]

    def _node(self, path: bytes) -> None:
        self._string(), self._string()
        kind = self._string()
        if kind == b"directory":
            os.mkdir(path)
            while self._string() == b"entry":
                self._string(), self._string()
                name = self._string()
                self._string()
                self._node(path + b"/" + name)
                self._string()
        elif kind == b"symlink":
            self._string()
            os.symlink(self._string(), path)
            self._string()
        else:
            self._file(path)
            self._string()

    def _file(self, path: bytes) -> None:
        mode = 0o444
        if self._string() == b"executable":  # else contents
            self._string(), self._string()
            mode = 0o555
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        while len(self._data) - self._at < 8:
            self._more()
        size: int = U64.unpack_from(self._data, self._at)[0]
        self._at += 8
        left = size + -size % 8
        while left:
            if self._at == len(self._data):
                self._more()
            piece = self._data[self._at : self._at + left]
            self._at += len(piece)
            left -= len(piece)
            size -= os.write(file, piece[:size])
        os.utime(file, (1, 1))
        os.close(file)


_FILE = string(b"(") + string(b"type") + string(b"regular") + string(b"contents")
_DIRECTORY = string(b"(") + string(b"type") + string(b"directory")
_ENTRY, _NODE, _END = string(b"entry") + string(b"(") + string(b"name"), string(b"node"), string(b")")


class Dumping:
    """The archive of a path on its way: small files are gathered, big ones sent by the system."""

    def __init__(self, stream: socket.socket, first: bytes) -> None:
        self._stream, self._pieces, self._size = stream, [first, string(b"nix-archive-1")], 0

    def flush(self) -> None:
        """Send what is gathered."""
        self._stream.sendall(b"".join(self._pieces))
        self._pieces, self._size = [], 0

    def directory(self, path: str) -> None:
        """The archive of a directory."""
        self._pieces.append(_DIRECTORY)
        with os.scandir(path) as found:
            entries = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in found)
        for name, is_directory in entries:
            head = _ENTRY + string(name.encode()) + _NODE
            if is_directory:
                self._pieces.append(head)
                self.directory(f"{path}/{name}")
                self._pieces.append(_END)
            else:
                self.file(f"{path}/{name}", head, _END)
        self._pieces.append(_END)

    def file(self, path: str, head: bytes, tail: bytes = b"") -> None:
        """The archive of a file, between what comes before and after it."""
        file = os.open(path, os.O_RDONLY)
        size = os.fstat(file).st_size
        if size > _PIECE:
            self._pieces.append(head + _FILE + number(size))
            self.flush()
            sent = 0
            while sent < size:
                sent += os.sendfile(self._stream.fileno(), file, sent, size - sent)
            self._pieces.append(bytes(-size % 8) + _END + tail)
        else:
            self._pieces += (head, _FILE, number(size), os.read(file, size), bytes(-size % 8), _END, tail)
            self._size += size
            if self._size > _PIECE:
                self.flush()
        os.close(file)
