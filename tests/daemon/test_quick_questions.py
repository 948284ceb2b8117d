"""Questions answered from bytes to bytes have the answers that the general way gives, byte by byte."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from daemon.asking import Client
from daemon.serving import Running
from fruix.daemon.handlers import quick
from fruix.daemon.handlers.quick import MAKERS, QuickQuestions
from fruix.model import base32
from fruix.model.contentaddress import ContentAddress, Method
from fruix.model.hashes import Hash
from fruix.protocol.operations import operations
from fruix.protocol.wire import Context, Dialect
from fruix.store import schema
from fruix.store.database import Database

VERSIONS = [(Dialect.NIX, 38), (Dialect.NIX, 21), (Dialect.GUIX, 0x64)]
HASH = Hash("sha256", bytes(range(32)))
MANY = quick._MOST_ROWS + 1


def base(name: str) -> str:
    return f"{base32.encode(Hash.of('sha256', name.encode()).digest[:20])}-{name}"


class Rows:
    """Rows as they may stand in a database, without files."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def add(self, name: str, *references: str, **columns: object) -> str:
        """A row; the path itself among `references` is called `self`."""
        path = f"{self.database.directory}/{base(name)}"
        row = {
            "hash": f"sha256:{HASH.base16}",
            "registrationTime": 1_700_000_000,
            "deriver": None,
            "narSize": 120,
            "ultimate": None,
            "sigs": None,
            "ca": None,
            **columns,
        }
        with self.database.writing() as connection:
            connection.execute(schema.INSERT_PATH, (path, *row.values()))
            for reference in references:
                other = path if reference == "self" else reference
                connection.execute(schema.ADD_REFERENCE, (path, other))
        return path

    def output(self, drv: str, name: str, path: object) -> None:
        with self.database.writing() as connection:
            ((row,),) = connection.execute(schema.FIND_ID, (drv,))
            connection.execute(schema.INSERT_OUTPUT, (row, name, path))


def usual(rows: Rows) -> list[str]:
    """Rows as they should be, of all kinds."""
    signature = "key-1:" + "A" * 86 + "=="
    alone = rows.add("alone")
    itself = rows.add("itself", "self", narSize=0, registrationTime=0)
    drv = rows.add("thing.drv", alone)
    built = rows.add("built", itself, alone, "self", deriver=drv, ultimate=1, sigs=signature)
    signed = rows.add("signed", sigs=f"{signature} other:{signature[6:]}", ultimate=0, deriver="", ca="")
    addresses = [str(ContentAddress(method, HASH)) for method in (Method.TEXT, Method.FLAT, Method.NAR)]
    addressed = [rows.add(f"addressed-{n}", ca=address) for n, address in enumerate(addresses)]
    few = [rows.add(f"few+._?=-{n}", *[alone, built][: n % 3]) for n in range(20)]
    user = rows.add("user", *few, *reversed(addressed), registrationTime=-1, narSize=1 << 62)
    gone = f"{rows.database.directory}/{base('gone')}"
    other = rows.add("other.drv")
    for name, path in (("out", built), ("dev", gone), ("a-lib", alone)):
        rows.output(drv, name, path)
    rows.output(other, "out", built)
    return [alone, itself, drv, built, signed, *addressed, user, gone, other, few[3]]


def unusual(rows: Rows) -> list[str]:
    """Rows as they should not be, or as they are written in another way."""
    alone = f"{rows.database.directory}/{base('alone')}"
    many = rows.add("many")
    with rows.database.writing() as connection:
        for number in range(MANY):
            name = f"{rows.database.directory}/{base(f'one-{number}')}"
            values = (name, f"sha256:{HASH.base16}", 1, None, 1, None, None, None)
            connection.execute(schema.INSERT_PATH, values)
            connection.execute(schema.ADD_REFERENCE, (name, many))
            connection.execute(schema.ADD_REFERENCE, (many, name))
    odd = rows.add("odd.drv", alone)
    rows.output(odd, "out", "relative")
    nowhere = rows.database.directory + "/" + "e" * 32 + "-no-path"
    with rows.database.writing() as connection:
        connection.execute(
            schema.INSERT_PATH, (nowhere, "sha256:" + HASH.base16, 1, None, 1, None, None, None)
        )
    changed: tuple[dict[str, object], ...] = (
        {"hash": f"sha256:{HASH.base16.upper()}"},
        {"hash": HASH.prefixed},
        {"hash": HASH.sri},
        {"hash": "sha256:00"},
        {"hash": ""},
        {"hash": b"sha256:" + HASH.base16.encode()},
        {"hash": "sha1:" + HASH.base16[:40]},
        {"deriver": "unknown-deriver"},
        {"deriver": f"{rows.database.directory}//{base('thing.drv')}"},
        {"deriver": b"bytes"},
        {"narSize": None},
        {"narSize": -1},
        {"narSize": "much"},
        {"narSize": 1.5},
        {"registrationTime": "now"},
        {"registrationTime": -(1 << 63)},
        {"ultimate": "yes"},
        {"ultimate": 7},
        {"sigs": "  a:b\n c:d "},
        {"sigs": "clé:é"},
        {"sigs": b"a:b"},
        {"ca": "fixed:sha1:" + base32.encode(bytes(20))},
        {"ca": str(ContentAddress(Method.GIT, Hash("sha1", bytes(20))))},
        {"ca": f"text:sha256:{HASH.base16}"},
        {"ca": f"text:sha256:{'z' * 52}"},
        {"ca": "nonsense"},
        {"ca": b"text"},
    )
    found = [rows.add(f"odd-{number}", alone, **columns) for number, columns in enumerate(changed)]
    return [*found, many, odd, nowhere, rows.add("user-of-odd", nowhere), rows.add("user-of-many", many)]


def others(directory: str, valid: str) -> list[bytes]:
    """What is no path of the store, or not written like one; hash parts."""
    name = valid.rpartition("/")[2]
    texts = [
        f"{directory}//{name}",
        f"{directory}/./{name}",
        f"{directory}/{name}/",
        f"{directory}/{name}/bin",
        f"{directory}/../store/{name}",
        f"/elsewhere/store/{name}",
        f"{directory}",
        f"{directory}/{name[:20]}",
        f"{directory}/{'e' * 32}-name",
        f"{directory}/{name[:32]}-.name",
        f"{directory}/{name[:32]}-a b",
        f"{directory}/{name[:32]}-" + "x" * 211,
        f"{directory}/{name[:32]}-" + "x" * 212,
        f"{directory}/{name}\n",
        f"{directory}/{name}\0",
        f"{directory}/{name}é",
        name,
        name[:32],
        name[:31],
        "0" * 32,
        "e" * 32,
        "",
    ]
    return [*(text.encode() for text in texts), f"{directory}/{name}".encode() + b"\xff"]


def request(number: int, text: bytes, *, padding: bytes | None = None, size: int | None = None) -> bytes:
    lengths = number.to_bytes(8, "little") + (len(text) if size is None else size).to_bytes(8, "little")
    return lengths + text + (bytes(-len(text) % 8) if padding is None else padding)


def answer(daemon: Running, context: Context, asked: bytes) -> bytes:
    """All that a session says to a request, up to its end."""
    daemon.service.answers.see(None)
    stream = daemon.plug()
    with stream:
        assert Client(stream, context.dialect, context.minor, context.directory).greet()
        stream.sendall(asked)
        stream.shutdown(socket.SHUT_WR)
        said = b""
        while piece := stream.recv(1 << 20):
            said += piece
        return said


@contextmanager
def answered_quickly(monkeypatch: pytest.MonkeyPatch, *, allowed: bool = True) -> Iterator[list[bytes]]:
    """The requests that were, as they come; none at all where it isn't allowed."""
    found: list[bytes] = []
    real = QuickQuestions.answer

    def noted(self: QuickQuestions, session: object, asked: bytes) -> object:
        if allowed and (reply := real(self, session, asked)) is not None:  # type: ignore[arg-type]
            found.append(asked)
            return reply
        return None

    with monkeypatch.context() as patched:
        patched.setattr(QuickQuestions, "answer", noted)
        yield found


def both(
    daemon: Running, context: Context, asked: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> tuple[list[bytes], list[bytes], list[bytes]]:
    """What was answered quickly; all answers with that and without."""
    with answered_quickly(monkeypatch) as found:
        here = [answer(daemon, context, one) for one in asked]
    with answered_quickly(monkeypatch, allowed=False):
        return found, here, [answer(daemon, context, one) for one in asked]


@pytest.mark.parametrize(("dialect", "minor"), VERSIONS)
def test_answers_are_the_same(
    daemon: Running, monkeypatch: pytest.MonkeyPatch, dialect: Dialect, minor: int
) -> None:
    rows = Rows(daemon.store.database)
    expected = usual(rows)
    context = Context(dialect, minor, daemon.store.directory)
    kinds = {op.kind: number for number, op in operations(context).items() if op.kind in MAKERS[dialect]}
    assert kinds.keys() == MAKERS[dialect].keys()
    texts = [
        *(path.encode() for path in (*expected, *unusual(rows))),
        *others(daemon.store.directory, expected[0]),
        expected[3].rpartition("/")[2][:32].encode(),
    ]
    asked = [request(number, text) for number in kinds.values() for text in texts]
    asked += [
        request(1, texts[0], padding=b"\1" * (-len(texts[0]) % 8 or 8)),
        request(1, texts[0], padding=bytes(-len(texts[0]) % 8 + 8)),
        request(1, texts[0], size=len(texts[0]) - 1),
        request(1, texts[0], size=len(texts[0]) + 40),
        request(1, texts[0]) * 3,
        request(1, texts[0])[:20],
    ]
    found, here, general = both(daemon, context, asked, monkeypatch)
    for one, left, right in zip(asked, here, general, strict=True):
        assert left == right, one
    # Nearly all that is usual was; what isn't valid is an error, or has nothing to show.
    for kind, number in kinds.items():
        quickly = {one for one in found if int.from_bytes(one[:8], "little") == number}
        assert len(quickly) >= (2 if "HashPart" in kind.__name__ or "Output" in kind.__name__ else 8), kind
    assert {request(1, path.encode()) for path in expected} <= set(found)


def test_a_question_of_which_the_answer_is_long_is_charged_to_its_client(
    daemon: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = Rows(daemon.store.database)
    usual(rows)
    many = next(path for path in unusual(rows) if path.endswith("-many"))
    context = Context(Dialect.NIX, 38, daemon.store.directory)
    for number in (5, 6, 26):
        found, here, general = both(daemon, context, [request(number, many.encode())], monkeypatch)
        assert (found, here) == ([], general)


def test_errors_of_the_database_are_left_to_the_general_way(
    daemon: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = usual(Rows(daemon.store.database))[0]
    with daemon.store.database.writing() as connection:
        connection.execute("alter table Refs rename to Lost")
    context = Context(Dialect.NIX, 38, daemon.store.directory)
    found, here, general = both(daemon, context, [request(26, path.encode())], monkeypatch)
    assert (found, here) == ([], general)
    assert b"no such table" in here[0]
