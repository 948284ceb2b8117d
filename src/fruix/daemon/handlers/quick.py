"""Questions that the database alone answers, from the bytes of the request to the bytes of the answer.

Clients walk closures with these, a request for each path, and most of them nobody asked before. Values made
of requests and rows took more time than all the rest, so nothing is parsed here: a path is recognized by its
pattern, and what rows hold is sent as it stands there. Whatever isn't in the form in which it would be
written, errors and long answers are left to the general way: there is no answer here then, and nothing has
happened. Where there is one it is the same, byte by byte (`tests/daemon/test_quick_questions.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from fruix.dataclass import dataclass
from fruix.errors import FruixError
from fruix.model import base32
from fruix.model.nar.write import string
from fruix.model.storepath import BASE, HASH_PART_SIZE
from fruix.protocol import common_operations as common
from fruix.protocol import guix, messages, nix
from fruix.protocol.operations import operations
from fruix.protocol.reader import FREE
from fruix.protocol.records import Request
from fruix.protocol.wire import Context, Dialect, string_pieces
from fruix.store import schema

if TYPE_CHECKING:
    from fruix.daemon.session import Session
    from fruix.store.database import Database
    from fruix.store.database_file import Version

_MOST_ROWS = 1000  # more than that is charged to the client while it is written
_HASH = re.compile("sha256:[0-9a-f]{64}").fullmatch
_DIGIT = f"[{base32.ALPHABET}]"
_ADDRESS = re.compile(f"(?:text|fixed|fixed:r):sha256:[01]{_DIGIT}{{51}}").fullmatch
# Zero is what an empty string and an empty list are, too.
_ZERO, _ONE = bytes(8), (1).to_bytes(8, "little")
_NO, _YES = messages.LAST + _ZERO, messages.LAST + _ONE

Match = Callable[[str], Any]
Row = tuple[Any, ...]  # columns as SQLite gives them; a type that nobody expects is a TypeError


@dataclass(frozen=True, slots=True)
class Patterns:
    """What the paths of a store look like, as they are written: one, and several with spaces between."""

    path: Match
    paths: Match

    @classmethod
    def of(cls, directory: str) -> Patterns:
        """Compile them."""
        path = f"{re.escape(directory)}/{BASE}"
        return cls(re.compile(path).fullmatch, re.compile(f"{path}(?: {path})*").fullmatch)


def _strings(texts: Collection[str]) -> bytes:
    return b"".join((len(texts).to_bytes(8, "little"), *string_pieces(texts)))


# Of a row of `schema.INFO_BY_PATH`


def _known(patterns: Patterns, row: Row) -> tuple[bytes, bytes, bytes] | None:
    """The row's deriver, hash and references as they are written; None: something is unusual."""
    _, nar_hash, _, deriver, *_, address, references, _ = row
    usual = (
        _HASH(nar_hash)
        and (not deriver or patterns.path(deriver))
        and (not references or patterns.paths(references))
        and (not address or _ADDRESS(address))
    )
    if not usual:
        return None
    return (
        string(deriver.encode()) if deriver else _ZERO,
        string(nar_hash[7:].encode()),
        _strings(sorted(references.split(" "))) if references else _ZERO,
    )


def _info(patterns: Patterns, row: Row) -> bytes | None:
    """`GUIX_INFO`, with which `UNKEYED_INFO` begins."""
    found, registered, size = _known(patterns, row), row[2], row[4]
    if found is None or type(registered) is not int or type(size) is not int or size < 0:
        return None
    return b"".join((*found, registered.to_bytes(8, "little", signed=True), size.to_bytes(8, "little")))


def _extras(row: Row) -> bytes:
    """What follows of `UNKEYED_INFO`."""
    *_, ultimate, signatures, address, _, _ = row
    words = _strings(str.split(signatures)) if signatures else _ZERO
    return (_ONE if ultimate else _ZERO) + words + (string(address.encode()) if address else _ZERO)


def _nix_info(patterns: Patterns, database: Database, path: str) -> bytes | None:
    rows: list[Row] = database.rows(schema.INFO_BY_PATH, path)
    if not rows:
        return _NO
    info = _info(patterns, rows[0])
    return None if info is None else _YES + info + _extras(rows[0])


def _guix_info(patterns: Patterns, database: Database, path: str) -> bytes | None:
    rows: list[Row] = database.rows(schema.INFO_BY_PATH, path)
    info = _info(patterns, rows[0]) if rows else None
    return None if info is None else messages.LAST + info


def _part_of_info(part: int, patterns: Patterns, database: Database, path: str) -> bytes | None:
    rows: list[Row] = database.rows(schema.INFO_BY_PATH, path)
    found = _known(patterns, rows[0]) if rows else None
    return None if found is None else messages.LAST + found[part]


# Of other rows


def _is_valid(_patterns: Patterns, database: Database, path: str) -> bytes:
    return _YES if database.rows(schema.IS_VALID, path) else _NO


def _paths(
    statement: str, patterns: Patterns, database: Database, path: str, *, column: int = 0, some: bool = False
) -> bytes | None:
    """The paths in a column, in order; with `some`, none at all are left to the general way."""
    rows: list[Row] = database.rows(statement, path)
    if len(rows) > _MOST_ROWS or (some and not rows):
        return None
    texts = [row[column] for row in rows]
    return messages.LAST + _strings(sorted(texts)) if all(map(patterns.path, texts)) else None


def _output_names(patterns: Patterns, database: Database, path: str) -> bytes | None:
    rows: list[Row] = database.rows(schema.OUTPUTS, path)
    usual = rows and len(rows) <= _MOST_ROWS and all(patterns.path(output) for _, output in rows)
    return messages.LAST + _strings(sorted(name for name, _ in rows)) if usual else None


def _of_hash_part(patterns: Patterns, database: Database, part: str) -> bytes | None:
    start = f"{database.directory}/{part}"
    rows: list[Row] = database.rows(schema.HASH_PART, start + "-", start + ".")
    if not rows:
        return messages.LAST + _ZERO
    return messages.LAST + string(rows[0][0].encode()) if patterns.path(rows[0][0]) else None


# An answer for the text that a request names; None for what is left to the general way.
_Maker = Callable[[Patterns, "Database", str], bytes | None]
_SHARED: Mapping[type[Request[Any]], _Maker] = {
    common.IsValidPath: _is_valid,
    common.QueryPathHash: partial(_part_of_info, 1),
    common.QueryReferences: partial(_paths, schema.REFERENCES, some=True),
    common.QueryReferrers: partial(_paths, schema.REFERRERS),
    common.QueryDeriver: partial(_part_of_info, 0),
    common.QueryDerivationOutputs: partial(_paths, schema.OUTPUTS, column=1, some=True),
    common.QueryDerivationOutputNames: _output_names,
    common.QueryPathFromHashPart: _of_hash_part,
    common.QueryValidDerivers: partial(_paths, schema.DERIVERS),
}
MAKERS: Mapping[Dialect, Mapping[type[Request[Any]], _Maker]] = {
    Dialect.NIX: {**_SHARED, nix.QueryPathInfo: _nix_info},
    Dialect.GUIX: {**_SHARED, guix.QueryPathInfo: _guix_info},
}


def _asks(named: str) -> Callable[[bytes], re.Match[bytes] | None]:
    """Matches a whole request (number, length, text, padding) that names something."""
    return re.compile(f".{{8}}(.{{8}})({named})\\0{{0,7}}".encode(), re.DOTALL).fullmatch


class QuickQuestions:
    """The questions of sessions that agreed on the same."""

    def __init__(self, context: Context) -> None:
        """Compile patterns, which takes a millisecond or two; see `quick_questions`."""
        patterns = Patterns.of(context.directory)
        makers = MAKERS[context.dialect]
        path, part = _asks(f"{re.escape(context.directory)}/{BASE}"), _asks(f"{_DIGIT}{{{HASH_PART_SIZE}}}")
        self._known = {
            number.to_bytes(8, "little"): (
                part if operation.kind is common.QueryPathFromHashPart else path,
                partial(makers[operation.kind], patterns),
            )
            for number, operation in operations(context).items()
            if operation.kind in makers
        }

    def answer(self, session: Session, request: bytes) -> tuple[bytes, Version] | None:
        """The answer to a whole request, and what it rests on; None: it is left to the general way."""
        if (known := self._known.get(request[:8])) is None or (found := known[0](request)) is None:
            return None
        size, text = found.groups()
        if size != len(text).to_bytes(8, "little") or len(request) != 16 + len(text) + (-len(text) & 7):
            return None
        users = session.service.users
        try:
            users.enter()
            try:
                database = session.store.database
                version = database.version()
                reply = known[1](database, text.decode())
            finally:
                users.leave()
        except (FruixError, OSError, TypeError):
            return None  # the work itself tells why
        return None if reply is None or len(reply) > FREE else (reply, version)


@cache
def quick_questions(context: Context) -> QuickQuestions:
    """Those of a session. Made once per version and kept."""
    return QuickQuestions(context)
