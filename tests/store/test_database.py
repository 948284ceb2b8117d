from __future__ import annotations

import ast
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import fruix
from fruix.errors import StoreError
from fruix.model.realisation import Realisation, realisation_id
from fruix.model.storepath import StorePath
from fruix.store.database import Database
from store.helpers import golden, some_path

STORE = "/frx/store"
TABLES = golden("db/nix-db.json")["tables"]
PATHS = {row[0]: StorePath.parse(row[1], STORE) for row in TABLES["ValidPaths"]["rows"]}
REFERENCES = [tuple(row) for row in TABLES["Refs"]["rows"]]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """The rows of a database of Nix 2.34."""
    opened = Database(str(tmp_path_factory.mktemp("db") / "db.sqlite"), STORE)
    opened.open()
    with opened.writing() as connection:
        for table in ("ValidPaths", "Refs", "DerivationOutputs"):
            marks = ",".join("?" * len(TABLES[table]["columns"]))
            connection.executemany(f"insert into {table} values ({marks})", TABLES[table]["rows"])
    yield opened
    opened.close()


def expected_references(identifier: int) -> list[StorePath]:
    return sorted(PATHS[reference] for referrer, reference in REFERENCES if referrer == identifier)


def expected_referrers(identifier: int) -> list[StorePath]:
    return sorted(PATHS[referrer] for referrer, reference in REFERENCES if reference == identifier)


def closure(start: int) -> set[StorePath]:
    seen, todo = {start}, [start]
    while todo:
        current = todo.pop()
        new = {reference for referrer, reference in REFERENCES if referrer == current} - seen
        seen |= new
        todo += new
    return {PATHS[identifier] for identifier in seen}


def test_info_of_every_golden_row(database: Database) -> None:
    for row in TABLES["ValidPaths"]["rows"]:
        identifier, path, nar_hash, registered, deriver, size, ultimate, signatures, address = row
        info = database.info(PATHS[identifier])
        assert info is not None
        assert str(info.path) == path
        assert info.nar_hash.prefixed16 == nar_hash
        assert info.registration_time == registered
        assert (str(info.deriver) if info.deriver else None) == deriver
        assert info.nar_size == size
        assert info.ultimate == bool(ultimate)
        assert " ".join(info.signatures) == (signatures or "")
        assert (str(info.content_address) if info.content_address else None) == address
        assert list(info.references) == expected_references(identifier)


def test_references_referrers_closures(database: Database) -> None:
    assert REFERENCES
    for identifier, path in PATHS.items():
        assert database.references(path) == expected_references(identifier)
        assert database.referrers(path) == expected_referrers(identifier)
        assert database.closure([path]) == closure(identifier)
    both = list(PATHS)[:2]
    assert database.closure([PATHS[i] for i in both]) == closure(both[0]) | closure(both[1])
    assert database.closure([]) == set()
    for referrer, reference in REFERENCES:
        assert PATHS[referrer] in database.referrers_closure([PATHS[reference]])


def test_outputs_and_derivers(database: Database) -> None:
    for drv, name, path in TABLES["DerivationOutputs"]["rows"]:
        output = StorePath.parse(path, STORE)
        assert database.outputs(PATHS[drv])[name] == output
        assert PATHS[drv] in database.derivers(output)
    assert database.outputs(some_path("none.drv", STORE)) == {}
    assert database.derivers(some_path("none", STORE)) == []


def test_hash_parts(database: Database) -> None:
    for path in PATHS.values():
        assert database.by_hash_part(path.hash_part) == path
    assert database.by_hash_part("0" * 32) is None


def test_valid_of_and_all(database: Database) -> None:
    known = set(list(PATHS.values())[:10])
    unknown = {some_path(str(number), STORE) for number in range(5000)}
    assert database.valid_of(known | unknown) == known
    assert database.valid_of([]) == set()
    assert set(database.all_paths()) == set(PATHS.values())
    assert all(database.is_valid(path) for path in known)
    assert not any(database.is_valid(path) for path in list(unknown)[:10])
    assert database.integrity() == []


def test_rows_with_referrers_stay(database: Database) -> None:
    referrer, reference = next(pair for pair in REFERENCES if pair[0] != pair[1])
    with pytest.raises(StoreError, match="FOREIGN KEY"):
        database.remove([PATHS[reference]])
    assert database.is_valid(PATHS[reference])
    assert PATHS[reference] in database.references(PATHS[referrer])


def test_removal_of_a_path_that_refers_to_itself(tmp_path: Path) -> None:
    database = Database(str(tmp_path / "db.sqlite"), STORE)
    database.open()
    path = some_path("self", STORE)
    with database.writing() as connection:
        connection.execute(
            "insert into ValidPaths (id, path, hash, registrationTime) values (7, ?, ?, 1)",
            (str(path), "sha256:" + "0" * 64),
        )
        connection.execute("insert into Refs values (7, 7)")
    info = database.info(path)
    assert info is not None
    assert info.references == (path,)
    assert info.nar_size == 0
    with database.writing() as connection:
        connection.execute(
            "delete from ValidPaths where id = 7"
        )  # as another program would: the trigger helps
    assert database.all_paths() == []
    database.close()


def test_files_and_modes(tmp_path: Path) -> None:
    database = Database(str(tmp_path / "db.sqlite"), STORE)
    database.open()
    assert (tmp_path / "schema").read_text() == "10"
    assert os.stat(tmp_path / "db.sqlite").st_mode & 0o7777 == 0o600
    assert os.stat(tmp_path / "reserved").st_mode & 0o7777 == 0o600
    assert os.stat(tmp_path / "reserved").st_size == 8 << 20
    connection = sqlite3.connect(tmp_path / "db.sqlite")
    assert connection.execute("pragma journal_mode").fetchone() == ("wal",)
    names = {row[0] for row in connection.execute("select name from sqlite_master where sql is not null")}
    connection.close()
    assert names >= {
        "IndexReference",
        "IndexDerivationOutputs",
        "DeleteSelfRefs",
        "FailedPaths",
    }
    database.close()


@pytest.mark.parametrize("version", ["6", "11"])
def test_other_schema_versions_are_refused(tmp_path: Path, version: str) -> None:
    (tmp_path / "schema").write_text(version)
    with pytest.raises(StoreError, match=f"current store schema is version {version}"):
        Database(str(tmp_path / "db.sqlite"), STORE).open()


@pytest.mark.parametrize("garbage", [b"x", b"", b"\xff\x00\n", b"9" * 10_000, b"10\n10"])
def test_garbage_in_place_of_the_version_is_an_error(tmp_path: Path, garbage: bytes) -> None:
    (tmp_path / "schema").write_bytes(garbage)
    with pytest.raises(StoreError, match=r"schema") as caught:
        Database(str(tmp_path / "db.sqlite"), STORE).open()
    assert len(str(caught.value)) < 1000
    assert not (tmp_path / "db.sqlite").exists()


def test_what_is_no_database_is_explained(tmp_path: Path) -> None:
    (tmp_path / "db.sqlite").write_bytes(b"no database at all" * 100)
    database = Database(str(tmp_path / "db.sqlite"), STORE)
    with pytest.raises(StoreError, match="not a database") as caught:
        database.open()
    assert caught.value.where == str(tmp_path / "db.sqlite")
    database.close()


def test_a_failed_transaction_leaves_nothing(tmp_path: Path) -> None:
    database = Database(str(tmp_path / "db.sqlite"), STORE)
    database.open()

    def fail_half_way() -> None:
        with database.writing() as connection:
            connection.execute("insert into ValidPaths (path, hash, registrationTime) values ('a', 'b', 1)")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    assert database.all_paths() == []
    database.close()


def test_many_threads_read_while_one_writes(tmp_path: Path) -> None:
    database = Database(str(tmp_path / "db.sqlite"), STORE)
    database.open()
    paths = [some_path(str(number), STORE) for number in range(200)]
    wrong: list[str] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            count = len(database.all_paths())
            if count % 2:
                wrong.append(f"half a transaction: {count} rows")

    readers = [threading.Thread(target=read) for _ in range(4)]
    for thread in readers:
        thread.start()
    for first, second in zip(paths[::2], paths[1::2], strict=True):
        with database.writing() as connection:
            for path in (first, second):
                connection.execute(
                    "insert into ValidPaths (path, hash, registrationTime) values (?, ?, 1)",
                    (str(path), "sha256:" + "0" * 64),
                )
    done.set()
    for thread in readers:
        thread.join()
    assert wrong == []
    assert len(database.all_paths()) == 200
    database.close()


def test_statements_hold_no_values() -> None:
    """SQL text is constant: no f-string or concatenation with data anywhere in the folder."""
    import re

    folder = os.path.join(os.path.dirname(__file__), "..", "..", "src", "fruix", "store")
    for directory, _, files in os.walk(folder):
        for name in files:
            if name.endswith(".py"):
                with open(os.path.join(directory, name), encoding="utf-8") as file:
                    assert not re.search(r"execute(many|script)?\(\s*f[\"']", file.read()), name


def test_statements_are_constants() -> None:
    """No statement is put together from text at run time: values go in as parameters."""
    calls = 0
    for path in sorted(Path(fruix.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in {"execute", "executemany", "executescript", "_rows", "_paths"}
            ):
                calls += 1
                statement = node.args[0]
                constant = isinstance(statement, ast.Constant | ast.Name) or (
                    isinstance(statement, ast.Attribute) and isinstance(statement.value, ast.Name)
                )
                assert constant, f"{path}:{node.lineno}: {ast.unparse(statement)}"
    assert calls > 20


def test_what_realisations_have_is_never_null(database: Database) -> None:
    """Clients of Nix that read the database themselves end at a null."""
    path = next(iter(PATHS.values()))
    database.realise([Realisation(realisation_id("0" * 64, "out"), path)])
    with database.writing() as connection:
        rows = connection.execute("select typeof(signatures) from Realisations").fetchall()
    assert [tuple(row) for row in rows] == [("text",)]
    assert database.realisation(realisation_id("0" * 64, "out")) is not None
