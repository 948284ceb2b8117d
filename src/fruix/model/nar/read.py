"""A strict, streaming NAR reader: bytes in as they come, events out.

No file, no recursion, bounded memory.

Only the canonical form is accepted: entries strictly ascending across the whole directory, zero
padding, no other order of fields; so whatever is accepted dumps to the same bytes again. Since the
form is canonical, all that comes between two variable parts is a constant, and the reader compares
whole constants instead of taking words apart.

Cost: contents are handed out as views of what was fed; a small file that is read whole costs about 2 µs.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import NoReturn

from fruix.errors import BadNarError
from fruix.model.nar import write
from fruix.model.nar.stream_events import (
    DirectoryEnd,
    DirectoryStart,
    Entry,
    Event,
    FileData,
    FileEnd,
    FileStart,
    Symlink,
    WholeFile,
)

MAX_DEPTH = 1 << 16  # levels; each costs the length of a name
MAX_NAME = 255
MAX_TARGET = 4095

_LENGTH = struct.Struct("<Q")
_MAX_FILE = 1 << 62
_CLOSE_ENTRY = len(write.ENTRY_TAIL) + len(write.DIRECTORY_TAIL)
_SMALLEST_NODE = len(write.DIRECTORY_HEAD) + len(write.CLOSE)
_NAME_AT = len(write.ENTRY) + _LENGTH.size
_NO_NAMES = frozenset({b".", b".."})
_FILE_END = FileEnd()
_DIRECTORY_START = DirectoryStart()
_DIRECTORY_END = DirectoryEnd()

# One step: given a buffer and a position, an event (or None) and the new position; None when more
# bytes are needed.
_Step = Callable[[bytes, int], "tuple[Event | None, int] | None"]


class NarReader:
    """Reads one archive.

    Attributes:
        done: the archive is complete.
        leftover: bytes that were fed after its end.
    """

    def __init__(self, max_depth: int = MAX_DEPTH, *, whole_files: bool = False) -> None:
        """Start before the archive's first byte.

        `whole_files`: files in directories are given as `WholeFile` where all of one is in what was
        fed, which saves three events.
        """
        self.done = False
        self._whole_files = whole_files
        self.leftover = b""
        self._max_depth = max_depth
        self._pending = b""
        self._left = 0  # bytes of contents still to come
        self._tail = b""  # what must follow the contents
        self._names: list[bytes] = []  # the last name seen in each open directory
        self._step: _Step = self._magic
        self._offset = 0  # of the buffer's start, for messages

    @property
    def wanted(self) -> int:
        """How many more bytes belong to this archive at least.

        A reader may fetch so many without passing its end.
        """
        if self.done:
            return 0
        closing = _CLOSE_ENTRY * len(self._names)
        if self._step == self._file_tail:
            need = self._left + len(self._tail) + closing
        elif self._step == self._in_directory:
            need = len(write.DIRECTORY_TAIL) + closing - _CLOSE_ENTRY
        elif self._step == self._entry_tail:
            need = closing
        else:
            need = _SMALLEST_NODE + closing + (len(write.MAGIC) if self._step == self._magic else 0)
        return max(1, need - len(self._pending))

    def feed(self, data: bytes | bytearray | memoryview) -> Iterator[Event]:
        """Take more bytes; the iterator must be used up before the next call.

        Raises:
            BadNarError: not a canonical archive.
        """
        if self._left and (taken := memoryview(data)[: self._left]):
            self._left -= len(taken)
            self._offset += len(taken)
            yield FileData(taken)
            data = memoryview(data)[len(taken) :]
        # Structure is compared in one piece, together with what the last call left over.
        buffer = self._pending + bytes(data) if self._pending or not isinstance(data, bytes) else data
        self._pending = b""
        yield from self._events(buffer)

    def _events(self, buffer: bytes) -> Iterator[Event]:
        view, position = memoryview(buffer), 0
        while position < len(buffer):
            if self._left:
                taken = view[position : position + self._left]
                self._left -= len(taken)
                position += len(taken)
                yield FileData(taken)
                continue
            if self.done:
                self.leftover += buffer[position:]
                break
            found = self._step(buffer, position)
            if found is None:
                self._pending = buffer[position:]
                break
            event, position = found
            if event is not None:
                yield event
        self._offset += position

    def finish(self) -> None:
        """No more bytes will come.

        Raises:
            BadNarError: the archive is not complete.
        """
        if not self.done:
            raise BadNarError("bad archive: it ends before its end", where=f"offset {self._offset}")

    # Steps, one per place in the grammar

    def _magic(self, buffer: bytes, position: int) -> tuple[Event | None, int] | None:
        if not self._follows(buffer, position, write.MAGIC, "input doesn't look like a NAR"):
            return None
        self._step = self._node
        return None, position + len(write.MAGIC)

    def _node(self, buffer: bytes, position: int) -> tuple[Event | None, int] | None:
        for head, read in (
            (write.FILE, self._file),
            (write.DIRECTORY_HEAD, self._directory),
            (write.EXECUTABLE_FILE, self._executable),
            (write.SYMLINK, self._symlink),
        ):
            if buffer.startswith(head, position):
                return read(buffer, position + len(head))
        rest = buffer[position : position + len(write.EXECUTABLE_FILE)]
        heads = (write.FILE, write.EXECUTABLE_FILE, write.SYMLINK, write.DIRECTORY_HEAD)
        if not any(head.startswith(rest) for head in heads):
            self._fail("expected a regular file, a symlink or a directory", position)
        return None

    def _file(
        self, buffer: bytes, position: int, *, executable: bool = False
    ) -> tuple[Event | None, int] | None:
        if len(buffer) - position < _LENGTH.size:
            return None
        size = _LENGTH.unpack_from(buffer, position)[0]
        if size > _MAX_FILE:
            self._fail(f"a file of {size} bytes", position)
        self._left = size
        self._tail = write.file_tail(size)
        self._step = self._file_tail
        return FileStart(executable, size), position + _LENGTH.size

    def _executable(self, buffer: bytes, position: int) -> tuple[Event | None, int] | None:
        return self._file(buffer, position, executable=True)

    def _file_tail(self, buffer: bytes, position: int) -> tuple[Event | None, int] | None:
        if not self._follows(
            buffer, position, self._tail, "a file's padding must be zero and ')' must follow"
        ):
            return None
        self._node_ends()
        return _FILE_END, position + len(self._tail)

    def _symlink(self, buffer: bytes, position: int) -> tuple[Event | None, int] | None:
        found = self._string(buffer, position, MAX_TARGET, "symlink target")
        if found is None:
            return None
        target, position = found
        if b"\0" in target:
            self._fail("symlink target contains a NUL byte", position)
        if not self._follows(buffer, position, write.CLOSE, "expected ')' after a symlink's target"):
            return None
        self._node_ends()
        return Symlink(target), position + len(write.CLOSE)

    def _directory(self, buffer: bytes, position: int) -> tuple[Event | None, int] | None:
        del buffer
        if len(self._names) >= self._max_depth:
            self._fail(f"directory nesting exceeds maximum depth of {self._max_depth}", position)
        self._names.append(b"")
        self._step = self._in_directory
        return _DIRECTORY_START, position

    def _in_directory(self, buffer: bytes, position: int) -> tuple[Event | None, int] | None:
        if self._whole_files and (whole := self._whole_file(buffer, position)):
            return whole
        if buffer.startswith(write.CLOSE, position):
            self._names.pop()
            self._node_ends()
            return _DIRECTORY_END, position + len(write.CLOSE)
        if not buffer.startswith(write.ENTRY, position):
            rest = buffer[position : position + len(write.ENTRY)]
            if not write.ENTRY.startswith(rest) and not write.CLOSE.startswith(rest):
                self._fail("expected an entry or ')' in a directory", position)
            return None
        found = self._string(buffer, position + len(write.ENTRY), MAX_NAME, "file name")
        if found is None or not self._follows(buffer, found[1], write.NODE, "expected 'node' after a name"):
            return None
        self._check_name(found[0], position)
        self._names[-1] = found[0]
        self._step = self._node
        return Entry(found[0]), found[1] + len(write.NODE)

    def _whole_file(self, buffer: bytes, position: int) -> tuple[Event, int] | None:
        """An entry as one event, if all of it is there, and it is a regular file with a proper name."""
        start = position + _NAME_AT
        if not buffer.startswith(write.ENTRY, position) or len(buffer) < start:
            return None
        size = _LENGTH.unpack_from(buffer, start - 8)[0]
        name = buffer[start : start + size]
        head = write.ENTRY_FILE_HEADS[-size % 8]
        if executable := not buffer.startswith(head, start + size):
            head = write.ENTRY_EXECUTABLE_HEADS[-size % 8]
            if not buffer.startswith(head, start + size):
                return None
        start += size + len(head) + 8
        if len(buffer) < start:
            return None
        end: int = start + _LENGTH.unpack_from(buffer, start - 8)[0]
        tail = write.ENTRY_FILE_TAILS[start - end & 7]
        if size > MAX_NAME or name <= self._names[-1] or _is_no_name(name):
            return None
        if not buffer.startswith(tail, end):
            return None
        self._names[-1] = name
        return WholeFile(name, executable, memoryview(buffer)[start:end]), end + len(tail)

    def _entry_tail(self, buffer: bytes, position: int) -> tuple[Event | None, int] | None:
        if not self._follows(buffer, position, write.ENTRY_TAIL, "expected ')' after an entry"):
            return None
        self._step = self._in_directory
        return None, position + len(write.ENTRY_TAIL)

    def _node_ends(self) -> None:
        if self._names:
            self._step = self._entry_tail
        else:
            self.done = True

    def _check_name(self, name: bytes, position: int) -> None:
        shown = repr(name.decode("utf-8", "backslashreplace"))
        if _is_no_name(name):
            self._fail(f"NAR contains invalid file name {shown}", position)
        if name <= self._names[-1]:
            self._fail(f"NAR directory is not sorted at {shown}", position)

    def _follows(self, buffer: bytes, position: int, expected: bytes, message: str) -> bool:
        """Whether `expected` is there; False if too few bytes are there to tell."""
        if buffer.startswith(expected, position):
            return True
        if not expected.startswith(buffer[position : position + len(expected)]):
            self._fail(message, position)
        return False

    def _string(self, buffer: bytes, position: int, limit: int, what: str) -> tuple[bytes, int] | None:
        if len(buffer) - position < _LENGTH.size:
            return None
        size = _LENGTH.unpack_from(buffer, position)[0]
        if not 0 < size <= limit:
            self._fail(f"{what} of {size} bytes (1 to {limit} are allowed)", position)
        start = position + _LENGTH.size
        end = start + size + (-size % 8)
        if len(buffer) < end:
            return None
        if any(buffer[start + size : end]):
            self._fail("non-zero padding", position)
        return buffer[start : start + size], end

    def _fail(self, why: str, position: int) -> NoReturn:
        raise BadNarError(f"bad archive: {why}", where=f"offset {self._offset + position}")


def _is_no_name(name: bytes) -> bool:
    return name in _NO_NAMES or b"/" in name or b"\0" in name
