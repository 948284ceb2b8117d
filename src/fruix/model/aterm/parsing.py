"""The parser of derivations' text form.

Files up to `WHOLE` bytes are read at once (`quick_parsing`), about 10 µs for a usual one. Larger ones,
and what is wrong, are read item by item, and long texts in pieces of a few milliseconds, so that
other threads go on. `held` and `peak` estimate the memory that it takes.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import NoReturn, TypeVar

from fruix.errors import BadDerivationError, BadHashError, BadStorePathError, FormatError
from fruix.late import late_pattern
from fruix.model.aterm.grammar import DYNAMIC, MAX_DEPTH, MAX_ITEMS, MAX_SIZE, unescaped
from fruix.model.aterm.quick_parsing import parse_usual
from fruix.model.contentaddress import parse_output_method
from fruix.model.derivation import IMPURE, Derivation, DerivationOutput, Dynamic
from fruix.model.hashes import Hash
from fruix.model.storepath import DEFAULT_STORE, StorePath, check_name
from fruix.model.text import to_bytes, to_text

WHOLE = 1 << 20
_VERSIONED = b"DrvWithVersion("

_BODY = rb'[^"\\]*+(?:\\.[^"\\]*+)*+'
_STRING = late_pattern(b'"(' + _BODY + b')"', re.DOTALL)
# As much of a string as takes a few milliseconds; it never ends within an escape.
_PIECE = late_pattern(rb'[^"\\]*+(?:\\.[^"\\]*+){0,65535}+', re.DOTALL)

T = TypeVar("T")
V = TypeVar("V")


def parse(data: bytes, name: str, directory: str = DEFAULT_STORE) -> Derivation:
    """Read a derivation.

    Args:
        data: the file's bytes.
        name: the derivation's name (of its store path, without `.drv`); also used in messages.
        directory: the store directory in which all paths must be.

    Raises:
        BadDerivationError: with the offset where it goes wrong.
    """
    if len(data) > MAX_SIZE:
        raise BadDerivationError(f"derivation is larger than {MAX_SIZE} bytes", where=name)
    if b"\0" in data:
        raise BadDerivationError(f"derivation contains a NUL byte at offset {data.index(0)}", where=name)
    usual = parse_usual(data, name, directory) if len(data) <= WHOLE else None
    return usual or _Parser(data, name, directory).derivation()


def held(data: bytes) -> int:
    """About how many bytes of memory a derivation takes that was parsed from `data`.

    A text with a character beyond U+FFFF takes four bytes a character.
    """
    return (1 if data.isascii() else 4) * len(data) + 230 * data.count(b'",') + 2000


def peak(data: bytes) -> int:
    """The most that it takes to parse `data`, and to write and hash what was parsed."""
    return (4 if data.isascii() else 8) * len(data) + 1200 * data.count(b'",') + 4000


class _Parser:
    def __init__(self, data: bytes, name: str, directory: str) -> None:
        self._data = data
        self._name = name
        self._directory = directory
        self._position = self._depth = 0
        self._in_pieces = len(data) > WHOLE

    def derivation(self) -> Derivation:
        versioned = self._data.startswith(_VERSIONED)
        self._expect(_VERSIONED if versioned else b"Derive(")
        if versioned and (version := to_text(self._string())) != DYNAMIC:
            self._fail(f"unknown derivation ATerm format version '{version}'")
        if versioned:
            self._expect(b",")
        outputs = self._mapping(self._output, "output")
        self._expect(b",")
        inputs = self._mapping(self._node if versioned else self._input, "input derivation")
        self._expect(b",")
        sources = self._ordered([self._path(text) for text in self._strings()], "input source")
        self._expect(b",")
        system, builder = self._string(), self._comma_string()
        self._expect(b",")
        arguments = self._strings()
        self._expect(b",")
        env = self._mapping(self._variable, "environment variable")
        self._expect(b")")
        if self._position != len(self._data):
            self._fail("text after the end")
        return Derivation(
            self._name,
            outputs,
            {path: node.outputs for path, node in inputs.items()},
            tuple(sources),
            to_text(system),
            to_text(builder),
            tuple(map(to_text, arguments)),
            env,
            {path: node.below for path, node in inputs.items() if node.below},
        )

    # One item of each list: (key for order and uniqueness, value)

    def _output(self) -> tuple[str, DerivationOutput]:
        name, path, method, digest = (to_text(part) for part in self._tuple(4))
        self._checked(lambda: check_name(name))
        if digest == IMPURE:
            self._checked(lambda: parse_output_method(method))
        elif digest:
            self._checked(lambda: Hash.parse(digest, parse_output_method(method)[1]))
        return name, DerivationOutput(self._path(to_bytes(path)) if path else None, method, digest)

    def _input(self) -> tuple[StorePath, Dynamic]:
        self._expect(b"(")
        path = self._path(self._string())
        self._expect(b",")
        names = self._names()
        self._expect(b")")
        return path, Dynamic(names)

    def _names(self) -> tuple[str, ...]:
        return tuple(self._ordered([to_text(name) for name in self._strings()], "wanted output"))

    # The same in the versioned form

    def _node(self) -> tuple[StorePath, Dynamic]:
        self._expect(b"(")
        path = self._path(self._string())
        node = self._after_key()
        return path, node

    def _output_node(self) -> tuple[str, Dynamic]:
        self._expect(b"(")
        name = to_text(self._string())
        return name, self._after_key()

    def _after_key(self) -> Dynamic:
        """Outputs alone, or with what is needed of those that are derivations."""
        self._expect(b",")
        if not self._data.startswith(b"(", self._position):
            found = Dynamic(self._names())
        else:
            self._depth += 1
            if self._depth > MAX_DEPTH:
                self._fail(f"more than {MAX_DEPTH} derivations that are outputs of one another")
            self._expect(b"(")
            names = self._names()
            self._expect(b",")
            found = Dynamic(names, self._mapping(self._output_node, "derivation that is an output"))
            self._expect(b")")
            self._depth -= 1
        self._expect(b")")
        return found

    def _variable(self) -> tuple[str, str]:
        name, value = self._tuple(2)
        return to_text(name), to_text(value)

    # The grammar's parts

    def _mapping(self, item: Callable[[], tuple[T, V]], what: str) -> dict[T, V]:
        items = self._list(item)
        self._ordered([key for key, _ in items], what)
        return dict(items)

    def _list(self, item: Callable[[], V]) -> list[V]:
        self._expect(b"[")
        items: list[V] = []
        if self._data.startswith(b"]", self._position):
            self._position += 1
            return items
        while True:
            items.append(item())
            self._check_count(len(items))
            if self._data.startswith(b"]", self._position):
                self._position += 1
                return items
            self._expect(b",")

    def _check_count(self, count: int) -> None:
        if count > MAX_ITEMS:
            self._fail(f"more than {MAX_ITEMS} items in a list")

    def _strings(self) -> list[bytes]:
        return self._list(self._string)

    def _tuple(self, count: int) -> list[bytes]:
        self._expect(b"(")
        parts = [self._string(), *(self._comma_string() for _ in range(count - 1))]
        self._expect(b")")
        return parts

    def _comma_string(self) -> bytes:
        self._expect(b",")
        return self._string()

    def _string(self) -> bytes:
        if self._in_pieces:
            return self._long_string()
        match = _STRING.match(self._data, self._position)
        if match is None:
            self._fail("expected a string")
        self._position = match.end()
        return unescaped(match[1])

    def _long_string(self) -> bytes:
        if not self._data.startswith(b'"', self._position):
            self._fail("expected a string")
        start, text = self._position + 1, bytearray()
        while not self._data.startswith(b'"', start):
            piece = _PIECE.match(self._data, start)
            if piece is None or piece.end() == start:
                self._fail("expected a string")
            text += unescaped(piece[0])
            start = piece.end()
        self._position = start + 1
        return bytes(text)

    def _path(self, text: bytes) -> StorePath:
        return self._checked(lambda: StorePath.parse(to_text(text), self._directory))

    def _ordered(self, keys: list[T], what: str) -> list[T]:
        encoded = [to_bytes(str(key)) for key in keys]
        for before, after in itertools.pairwise(encoded):
            if before >= after:
                problem = "given twice" if before == after else "out of order"
                self._fail(f"{what} '{to_text(after)}' is {problem}")
        return keys

    def _checked(self, check: Callable[[], V]) -> V:
        try:
            return check()
        except (BadStorePathError, BadHashError, FormatError) as error:
            raise self._problem(error.message) from error

    def _expect(self, token: bytes) -> None:
        if not self._data.startswith(token, self._position):
            self._fail(f"expected string '{to_text(token)}'")
        self._position += len(token)

    def _fail(self, why: str) -> NoReturn:
        raise self._problem(why)

    def _problem(self, why: str) -> BadDerivationError:
        where = f"at offset {self._position}"
        return BadDerivationError(f"error parsing derivation '{self._name}': {why} {where}")
