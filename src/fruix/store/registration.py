"""Making paths valid: every check, then one transaction for all of them.

A set of paths is registered as a whole or not at all. Before the transaction: a content address
gives the path it is claimed for; a derivation lies at the path that its text gives, parses, refers
to all its inputs, and its outputs are what its contents say; the references form no circle. In the
transaction: each reference is valid or in the set (checked here, so nothing can vanish in between),
rows of derivation outputs. A path that is registered already gets its hash, size and signatures
anew; its deriver stays.

Cost: about 100 µs a path; a derivation some 100 µs more.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from fruix.dataclass import replace
from fruix.errors import BadDerivationError, InvalidPathError, UsageError
from fruix.late import late_pattern
from fruix.model import aterm
from fruix.model.derivation import Derivation
from fruix.model.drvhash import DerivationHasher, check_outputs
from fruix.model.hashes import Hash
from fruix.model.makepath import text_path
from fruix.model.pathinfo import PathInfo, references_first
from fruix.model.storepath import StorePath
from fruix.model.text_object import AddedText
from fruix.store import schema
from fruix.store.database import Database
from fruix.store.derivation_cache import DerivationCache
from fruix.store.memory import charge, scoped
from fruix.store.objects.content_hashes import check_address_path

# A key's name and 64 bytes in base 64; the database separates signatures by blanks.
_SIGNATURE = late_pattern(r"[^\s:]{1,200}:[A-Za-z0-9+/]{86}==")
# What messages that carry a path's signatures hold at most.
SIGNATURES_LIMIT = 1 << 10
# What was just written, by the paths that were made from it.
Texts = Mapping[StorePath, bytes] | None


class Registrar:
    """Registers paths of one store. Thread-safe."""

    def __init__(
        self, database: Database, read: Callable[[StorePath], bytes], parsed: DerivationCache
    ) -> None:
        """`read` gives the bytes of a derivation's file, registered or not.

        `parsed` learns what was checked.
        """
        self._database = database
        self._read = read
        self._parsed = parsed
        self._checking = threading.Lock()
        self._pending: Mapping[StorePath, PathInfo] = {}
        # Remembers hashes by path: a derivation's path is the hash of its text, so they stay right.
        self._hasher = DerivationHasher(self._input)

    def register(
        self,
        infos: Sequence[PathInfo],
        *,
        addressed: bool = False,
        texts: Texts = None,
    ) -> None:
        """Make the paths valid.

        Args:
            infos: all or none of them.
            addressed: their content addresses were made from what was added, or checked against it,
                by the caller.
            texts: what the caller has just written, by paths that were made from it.

        Raises:
            InvalidPathError: a reference is neither valid nor in the set.
            ReferenceCycleError: the paths refer to each other in a circle.
            BadDerivationError: a `.drv` that does not hold what it should.
            ObjectRejectedError: a content address that does not fit the path.
            UsageError: a text among the signatures that is none.
            StoreError: the database's trouble.
        """
        by_path = {info.path: info for info in infos}
        order = references_first(by_path)
        _check_signatures(text for info in order for text in info.signatures)
        if not addressed:
            for info in order:
                check_address_path(info)
        derivations = self._check_derivations(by_path, order, texts or {})
        with self._database.writing() as connection:
            _insert(connection, order, derivations)

    def register_text(self, text: AddedText, contents: bytes, publish: Callable[[], None]) -> None:
        """Make one text valid that was not valid before, as `register` would.

        `publish` is called when it is known not to be valid, and before it is.

        Raises:
            InvalidPathError: a reference is not valid.
            BadDerivationError: a `.drv` that does not hold what it should.
            StoreError: the database's trouble; also, the path is valid.
        """
        path = text.path
        checked = self._check_text(text, contents) if path.is_derivation else {}
        values = (path.text, f"sha256:{text.nar_digest.hex()}", text.registration_time, None, text.nar_size)
        with self._database.writing() as connection:
            row = connection.execute(schema.INSERT_PATH, (*values, None, None, text.address)).lastrowid or 0
            publish()
            if checked:
                _insert_outputs(connection, {path: row}, checked)
            if text.references:
                _insert_references(connection, [(row, other) for other in text.references])

    def _check_text(self, text: AddedText, contents: bytes) -> dict[StorePath, Derivation]:
        references = tuple(map(StorePath, text.references))
        info = PathInfo(text.path, Hash("sha256", text.nar_digest), text.nar_size, references)
        return self._check_derivations({text.path: info}, [info], {text.path: contents})

    def add_signatures(self, path: StorePath, signatures: Iterable[str]) -> None:
        """Add signatures to those that a valid path has.

        In the transaction, so that none of another client is lost.

        Raises:
            InvalidPathError: the path is not valid.
            UsageError: a text that is no signature, or more than `SIGNATURES_LIMIT` in all.
        """
        new = set(signatures)
        _check_signatures(new)
        with self._database.writing() as connection:
            info = self._database.info(path)
            if info is None:
                raise InvalidPathError(str(path))
            merged = new.union(info.signatures)
            if len(merged) > SIGNATURES_LIMIT:
                raise UsageError(f"'{path}' would have more than {SIGNATURES_LIMIT} signatures")
            _upsert(connection, replace(info, signatures=tuple(sorted(merged))), info.registration_time)

    def _check_derivations(
        self,
        by_path: Mapping[StorePath, PathInfo],
        order: Sequence[PathInfo],
        texts: Mapping[StorePath, bytes],
    ) -> dict[StorePath, Derivation]:
        new = [info for info in order if info.path.is_derivation]
        if not new:
            return {}
        with scoped():
            derivations = {info.path: self._read_derivation(info, texts.get(info.path)) for info in new}
            self._check_outputs(derivations, by_path)
        return derivations

    def _check_outputs(
        self, derivations: Mapping[StorePath, Derivation], by_path: Mapping[StorePath, PathInfo]
    ) -> None:
        with self._checking:
            self._pending = by_path
            self._hasher.forget_if_many()
            try:
                # Inputs come before what uses them (the order is topological), so whatever the
                # hasher reads was checked.
                for path, drv in derivations.items():
                    check_outputs(drv, path, self._hasher)
            finally:
                self._pending = {}

    def identity(self, derivation: Derivation) -> str:
        """`DerivationHasher.identity` of a derivation whose inputs are valid."""
        with self._checking:
            self._hasher.forget_if_many()
            return self._hasher.identity(derivation)

    def _read_derivation(self, info: PathInfo, written: bytes | None) -> Derivation:
        path = info.path
        data = self._read(path) if written is None else written
        charge(aterm.peak(data))
        if written is None and _path_of(data, info) != path:
            raise BadDerivationError(
                "its path is not the one that its text and references give",
                where=str(path),
                hint="derivations are added as text, with all their inputs as references",
            )
        drv = self._parsed.parse(path, data)
        missing = sorted(set(drv.references) - set(info.references))
        if missing:
            raise BadDerivationError(f"input '{missing[0]}' is not among its references", where=str(path))
        return drv

    def _input(self, path: StorePath) -> Derivation:
        if path not in self._pending and not self._database.is_valid(path):
            raise InvalidPathError(str(path))
        return self._parsed.get(path, self._read)


def _path_of(data: bytes, info: PathInfo) -> StorePath:
    return text_path(info.path.name, Hash.of("sha256", data), info.references, info.path.directory)


def _check_signatures(texts: Iterable[str]) -> None:
    """Refuse what the database can't keep apart.

    Raises:
        UsageError: a text that is no signature.
    """
    if wrong := sorted(text for text in texts if not _SIGNATURE.fullmatch(text)):
        raise UsageError(f"'{wrong[0]}' is no signature", hint="signatures look like NAME:BASE64")


def _insert(
    connection: sqlite3.Connection, infos: Sequence[PathInfo], derivations: Mapping[StorePath, Derivation]
) -> None:
    """All rows of paths, of the outputs of those that are derivations, and of references."""
    now = int(time.time())
    ids = {info.path: _upsert(connection, info, now) for info in infos}
    _insert_outputs(connection, ids, derivations)
    _insert_references(
        connection, [(ids[info.path], path.text) for info in infos for path in info.references]
    )


def _insert_outputs(
    connection: sqlite3.Connection, ids: Mapping[StorePath, int], derivations: Mapping[StorePath, Derivation]
) -> None:
    """Rows of the outputs of derivations, whose own rows are `ids`."""
    outputs = [
        (ids[path], name, output.path.text)
        for path, drv in derivations.items()
        for name, output in drv.outputs.items()
        if output.path is not None
    ]
    connection.executemany(schema.INSERT_OUTPUT, outputs)


def _insert_references(connection: sqlite3.Connection, references: Sequence[tuple[int, str]]) -> None:
    """Rows of references: what refers, and to what."""
    if connection.executemany(schema.INSERT_REFERENCE, references).rowcount != len(references):
        texts = (text for _, text in references)
        raise InvalidPathError(next(text for text in texts if _row_of(connection, text) is None))


def _upsert(connection: sqlite3.Connection, info: PathInfo, now: int) -> int:
    nar_hash = info.nar_hash.prefixed16
    size, ultimate = info.nar_size or None, 1 if info.ultimate else None
    signatures = " ".join(info.signatures) or None
    address = str(info.content_address) if info.content_address else None
    deriver = str(info.deriver) if info.deriver else None
    registered = info.registration_time or now
    values = (info.path.text, nar_hash, registered, deriver, size, ultimate, signatures, address)
    try:  # most are new, which it says itself
        return int(connection.execute(schema.INSERT_PATH, values).lastrowid or 0)
    except sqlite3.IntegrityError:
        row = _row_of(connection, info.path.text)
        if row is None:
            raise
    connection.execute(schema.UPDATE_PATH, (nar_hash, size, ultimate, signatures, address, row))
    return row


def _row_of(connection: sqlite3.Connection, path: str) -> int | None:
    found = connection.execute(schema.FIND_ID, (path,)).fetchone()
    return None if found is None else int(found[0])
