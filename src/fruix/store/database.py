"""The database of valid paths: what is asked of it, and what is noted in it.

Values go in as bound parameters only; the statements are constants of `fruix.store.schema`.

Cost: validity of a path about 5 µs, its whole info about 25 µs; a transaction that registers a path
about 80 µs, without any fsync (`fruix.store.durability` cares for the disk).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from fruix.errors import InvalidPathError
from fruix.late import late_import
from fruix.model.contentaddress import ContentAddress
from fruix.model.hashes import Hash
from fruix.model.pathinfo import PathInfo
from fruix.model.realisation import Realisation
from fruix.model.storepath import StorePath, parse_all
from fruix.store import schema
from fruix.store.database_file import DatabaseFile
from fruix.store.memory import charge
from fruix.store.readers import Row

TYPE_CHECKING = False  # what `typing` has, without loading it
if TYPE_CHECKING:
    import json
else:
    json = late_import("json")

# Bytes for each path in a question about more than `_MANY` paths: its place here, its JSON,
# SQLite's copy of that.
_MANY, _ASKED = 1024, 500
_BATCH = 1000  # rows that are fetched at once


class Contents(NamedTuple):
    """A row as far as it tells of a path's files: the hash and the size of their archive.

    Texts as they stand there: made for passes over all rows.
    """

    row: int
    path: str
    nar_hash: str
    nar_size: int

    @property
    def base(self) -> str:
        """The path's name in the store."""
        return self.path.rpartition("/")[2]


class Database(DatabaseFile):
    """Valid paths, their references and the outputs of derivations. Thread-safe."""

    def __init__(self, file: str, directory: str) -> None:
        super().__init__(file)
        self.directory = directory

    def paths(self, statement: str, *parameters: object) -> list[StorePath]:
        """The paths that a query of one column gives, in its order."""
        return parse_all([str(text) for (text,) in self.rows(statement, *parameters)], self.directory)

    def _path(self, text: object) -> StorePath:
        return StorePath.parse(str(text), self.directory)

    def is_valid(self, path: StorePath) -> bool:
        """Whether the path is registered."""
        return bool(self.rows(schema.IS_VALID, str(path)))

    def is_valid_yet(self, path: StorePath) -> bool:
        """The same for those who are about to register the path."""
        return bool(self._fresh_rows(schema.IS_VALID, path.text))

    def valid_of(self, paths: Iterable[StorePath]) -> set[StorePath]:
        """Those of the paths that are registered."""
        by_text = {path.text: path for path in paths}
        if len(by_text) > _MANY:
            charge(_ASKED * len(by_text))
        return {by_text[str(row[0])] for row in self.rows(schema.VALID_OF, json.dumps(list(by_text)))}

    def info(self, path: StorePath) -> PathInfo | None:
        """All that is known about a path, or None when it is not registered."""
        rows = self.rows(schema.INFO_BY_PATH, str(path))
        return self._info(rows[0]) if rows else None

    def registered_after(self, identifier: int) -> Iterator[PathInfo]:
        """What was registered after the row with this id, in order; some at a time are held."""
        while batch := self.rows(schema.INFO_AFTER_ID, identifier, _BATCH):
            yield from map(self._info, batch)
            identifier = _integer(batch[-1][-1])

    def bases(self) -> Iterator[list[str]]:
        """The base names of all paths, in no order, some at a time. Costs 0.35 µs each."""
        start = 0
        while start < (newest := self.last_id()):
            for first in range(start, newest, _BATCH):
                bounds = first, first + _BATCH
                ((bases,),) = self.rows(schema.BASES_BETWEEN, len(self.directory) + 2, *bounds)
                if bases is not None:
                    yield str(bases).split("/")
            start = newest

    def all_contents(self) -> Iterator[Contents]:
        """All rows, in order; some at a time are held. Costs 1 µs a path."""
        identifier = 0
        while batch := [_contents(row) for row in self.rows(schema.CONTENTS_AFTER_ID, identifier, _BATCH)]:
            yield from batch
            identifier = batch[-1].row

    def big_contents(self, size: int, most: int) -> list[Contents]:
        """The rows of the biggest paths, of at least `size` bytes each. Costs a pass over all rows."""
        return [_contents(row) for row in self.rows(schema.CONTENTS_OF_BIG, size, most)]

    def contents(self, path: str) -> Contents | None:
        """What is known of a path's files, or None when it is not registered."""
        rows = self.rows(schema.CONTENTS_OF, path)
        return _contents(rows[0]) if rows else None

    def _info(self, row: Row) -> PathInfo:
        path, nar_hash, registered, deriver, size, ultimate, signatures, address, references, _ = row
        return PathInfo(
            path=self._path(path),
            nar_hash=Hash.parse(str(nar_hash)),
            nar_size=_integer(size),
            references=tuple(map(self._path, sorted(_words(references)))),
            deriver=self._path(deriver) if deriver else None,
            registration_time=_integer(registered),
            ultimate=bool(ultimate),
            signatures=tuple(_words(signatures)),
            content_address=ContentAddress.parse(str(address)) if address else None,
        )

    def references(self, path: StorePath) -> list[StorePath]:
        """What a path refers to, in order."""
        return self.paths(schema.REFERENCES, str(path))

    def referrers(self, path: StorePath) -> list[StorePath]:
        """What refers to a path (with the path itself, if it does), in order."""
        return self.paths(schema.REFERRERS, str(path))

    def derivers(self, path: StorePath) -> list[StorePath]:
        """The valid derivations that have this path as an output."""
        return self.paths(schema.DERIVERS, str(path))

    def outputs(self, drv: StorePath) -> Mapping[str, StorePath]:
        """The outputs, with names, of a valid derivation; valid or not."""
        return {str(name): self._path(path) for name, path in self.rows(schema.OUTPUTS, str(drv))}

    def by_hash_part(self, text: str) -> StorePath | None:
        """The valid path with this hash part (32 characters of nix32, checked by the caller)."""
        start = f"{self.directory}/{text}"
        # A range, not LIKE: no wildcards to escape. '-' is the character after the hash part, '.'
        # its successor.
        found = self.paths(schema.HASH_PART, start + "-", start + ".")
        return found[0] if found else None

    def row_of(self, path: StorePath) -> int:
        """The id of a path's row; 0 when it is not registered."""
        rows = self.rows(schema.FIND_ID, str(path))
        return _integer(rows[0][0]) if rows else 0

    def count(self) -> int:
        """How many paths are registered. Costs a pass over an index."""
        return _integer(self.rows(schema.COUNT)[0][0])

    def rows_after(self, identifier: int, most: int) -> list[tuple[int, StorePath]]:
        """The ids and paths of rows after the one with this id, in order; at most `most`."""
        rows = self.rows(schema.PATHS_AFTER_ID, identifier, most)
        return [(_integer(row), self._path(path)) for row, path in rows]

    def closure(self, paths: Iterable[StorePath]) -> set[StorePath]:
        """The paths and all they refer to, directly or not.

        Paths that are not registered are left out.
        """
        return set(self.paths(schema.CLOSURE, json.dumps([path.text for path in paths])))

    def closure_infos(self, paths: Iterable[StorePath]) -> list[PathInfo]:
        """What is known of all those, at one moment."""
        texts = json.dumps([str(path) for path in paths])
        return [self._info(row) for row in self.rows(schema.INFO_CLOSURE, texts)]

    def referrers_closure(self, paths: Iterable[StorePath]) -> set[StorePath]:
        """The paths and all that refer to them, directly or not."""
        return set(self.paths(schema.REFERRERS_CLOSURE, json.dumps([str(path) for path in paths])))

    def all_paths(self) -> list[StorePath]:
        """Every registered path, in order."""
        return self.paths(schema.ALL_PATHS)

    # Realisations

    def realisation(self, identifier: str) -> Realisation | None:
        """Where the output with this id is, if that is known and it is valid."""
        rows = self.rows(schema.REALISATION, *Realisation(identifier, StorePath("")).key)
        if not rows:
            return None
        path, signatures = rows[0]
        return Realisation(identifier, self._path(path), tuple(_words(signatures)))

    def realise(self, realisations: Iterable[Realisation]) -> None:
        """Note where outputs are; later words replace earlier ones, signatures of equal ones are added up.

        Raises:
            InvalidPathError: one is not valid.
        """
        with self.writing() as connection:
            for new in realisations:
                old = self.realisation(new.id)
                kept = old.signatures if old is not None and old.path == new.path else ()
                # Never null, which clients of Nix that read the database themselves take for damage.
                signatures = " ".join(sorted({*kept, *new.signatures}))
                connection.execute(schema.DELETE_REALISATION, new.key)
                inserted = connection.execute(
                    schema.INSERT_REALISATION, (*new.key, signatures, str(new.path))
                )
                if inserted.rowcount != 1:
                    raise InvalidPathError(str(new.path))

    # Deletion and the sync mark

    def remove(self, paths: Iterable[StorePath]) -> None:
        """Drop rows, all or none.

        Raises:
            StoreError: something outside of `paths` refers to one of them.
        """
        with self.writing() as connection:
            parameters = [(str(path),) for path in paths]
            connection.executemany(schema.DELETE_REFERENCES_OF, parameters)
            connection.executemany(schema.DELETE_PATH, parameters)

    def last_id(self) -> int:
        """The id of the newest row that is committed (0 when there is none)."""
        return _integer(self.rows(schema.LAST_ID)[0][0])

    def mark(self) -> int:
        """The id up to which everything is known to be on disk."""
        return _integer(self.rows(schema.GET_MARK)[0][0])

    def set_mark(self, identifier: int) -> None:
        """Advance the mark (it never goes back). What is known of paths is the same as before."""
        self.write_unseen(schema.SET_MARK, identifier, identifier)

    def newest(self) -> int:
        """The highest id that a row ever had; 0 when there are no rows."""
        return _integer(self.rows(schema.NEWEST_ID)[0][0])

    def newest_path(self) -> StorePath | None:
        """The path that was registered last, of those that are valid."""
        return next(iter(self.paths(schema.NEWEST_PATH)), None)

    def replacing(self, path: StorePath) -> set[tuple[Hash, int]]:
        """What the archive of a path may be that is just being replaced: hashes and sizes."""
        rows = self.rows(schema.REPLACING, str(path))
        return {(Hash.parse(str(found)), _integer(size)) for found, size in rows}

    def newest_synced_path(self) -> StorePath | None:
        """The path that was registered last, of those that are known to be on disk."""
        return next(iter(self.paths(schema.NEWEST_SYNCED_PATH)), None)

    # What is kept without being valid

    def kept(self) -> set[str]:
        """Base names of unregistered objects that are kept for people to look at."""
        return {str(row[0]) for row in self.rows(schema.KEPT)}

    def keep(self, name: str) -> None:
        """Note that such an object has that name."""
        with self.writing() as connection:
            connection.execute(schema.INSERT_KEPT, (name,))

    def unkeep(self, name: str) -> None:
        """Note that it is gone."""
        with self.writing() as connection:
            connection.execute(schema.DELETE_KEPT, (name,))


def _contents(row: Row) -> Contents:
    number, path, nar_hash, size = row
    return Contents(_integer(number), str(path), str(nar_hash), _integer(size))


def _integer(value: object) -> int:
    return value if isinstance(value, int) else 0


def _words(value: object) -> list[str]:
    return str(value).split() if value else []
