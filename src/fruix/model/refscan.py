"""Finding store paths in contents.

Which of some hash parts (32 characters of nix32) occur anywhere in a stream of bytes.

Exact, across chunk borders, whatever the number of candidates. Every fourth byte is classed by
`bytes.translate` as nix32 character or not: 32 characters in a row hold eight classed bytes in a
row, so only places with such a run are looked at closely, with one regular expression and a set.
Compressed or split paths are not seen.

Cost: no more than SHA-256 of the same bytes on binaries and on text (docs/performance.md); more on
text that is all nix32 characters.
"""

from __future__ import annotations

from collections.abc import Iterable

from fruix.late import late_pattern
from fruix.model.base32 import ALPHABET
from fruix.model.storepath import HASH_PART_SIZE
from fruix.overriding import override

_STRIDE = 4
_RUN = b"\1" * (HASH_PART_SIZE // _STRIDE)
_CLASSES = bytes(1 if chr(byte) in ALPHABET else 0 for byte in range(256))
_LONG_RUN = late_pattern(b"[" + ALPHABET.encode() + b"]{32,}")
_END_OF_RUN = late_pattern(b"\0")


class ReferenceScanner:
    """Feed it a stream; `found` grows.

    Args:
        hash_parts: the candidates, 32 bytes each.
    """

    def __init__(self, hash_parts: Iterable[bytes]) -> None:
        self._missing = set(hash_parts)
        self.found: set[bytes] = set()
        self._tail = b""

    def feed(self, chunk: bytes | bytearray | memoryview) -> None:
        """Look at the next bytes."""
        if not self._missing:
            return
        # A candidate may lie across the border: look at the end of what came before together with
        # the beginning of this.
        border = self._tail + bytes(chunk[: HASH_PART_SIZE - 1])
        if len(self._tail) and len(border) >= HASH_PART_SIZE:
            self._look(border)
        data = chunk if isinstance(chunk, bytes) else bytes(chunk)
        self._look(data)
        self._tail = (
            (self._tail + data)[-(HASH_PART_SIZE - 1) :]
            if len(data) < HASH_PART_SIZE
            else data[1 - HASH_PART_SIZE :]
        )

    def _look(self, data: bytes) -> None:
        classes = data[::_STRIDE].translate(_CLASSES)
        position = classes.find(_RUN)
        while position >= 0:
            end = _END_OF_RUN.search(classes, position)
            stop = end.start() if end else len(classes)
            # The run's neighbours on both sides may belong to it, up to the next classed byte.
            self._verify(data, max(0, position * _STRIDE - _STRIDE + 1), stop * _STRIDE)
            position = classes.find(_RUN, stop)

    def _verify(self, data: bytes, start: int, stop: int) -> None:
        """All windows of 32 nix32 characters in a part that is dense with them."""
        for run in _LONG_RUN.finditer(data, start, stop):
            text = run[0]
            last = len(text) - HASH_PART_SIZE + 1
            if last > len(self._missing) * 16:
                self._settle({part for part in self._missing if part in text})
            else:
                self._settle({text[at : at + HASH_PART_SIZE] for at in range(last)} & self._missing)

    def _settle(self, parts: set[bytes]) -> None:
        self.found |= parts
        self._missing -= parts


class SharedScanner(ReferenceScanner):
    """Looks for any of very many hash parts, in a set that is shared and never changed.

    Making one costs nothing in proportion to their number.
    """

    def __init__(self, hash_parts: set[bytes]) -> None:
        super().__init__(())
        self._missing = hash_parts

    @override
    def _settle(self, parts: set[bytes]) -> None:
        self.found |= parts
