"""Requests to add a text that are read in one step hold what the tables of operations read from them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fruix.errors import FruixError
from fruix.model.contentaddress import ContentAddress, Method
from fruix.model.hashes import Hash
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath
from fruix.model.text_object import AddedText
from fruix.protocol import messages, text_requests
from fruix.protocol.numbers import GUIX_NEWEST, NIX_NEWEST, NIX_OLDEST
from fruix.protocol.operations import operations
from fruix.protocol.reader import FramedSource, Source, frames
from fruix.protocol.records import Operation
from fruix.protocol.text_requests import INCOMPLETE, TextRequest, forms
from fruix.protocol.wire import Context, Dialect

DIRECTORY = "/frx/store"
NIX, OLD = (Context(Dialect.NIX, minor, DIRECTORY) for minor in (NIX_NEWEST, 24))
GUIX = Context(Dialect.GUIX, GUIX_NEWEST, DIRECTORY)
PATHS = tuple(StorePath(f"{DIRECTORY}/{letter * 32}-{name}") for letter, name in ("ba", "ab", "cc"))
TEXT, FRAMED = 8, 7


def operation(number: int, context: Context) -> Operation:
    return operations(context)[number]


def request(number: int, context: Context, name: str, contents: bytes, references: Any) -> bytes:
    """As clients write it."""
    sink = bytearray(number.to_bytes(8, "little"))
    row = operation(number, context)
    if number == TEXT:
        row.request.write(sink, row.kind(name, contents, references), context)
        return bytes(sink)
    row.request.write(sink, row.kind(name, "text:sha256", references, False), context)
    return bytes(sink) + b"".join(frames(iter((contents,))))


def read(data: bytes, context: Context) -> Any:
    form = forms(context.dialect, context.minor).get(data[:8])
    return None if form is None else text_requests.read(form[0], data, context)


def by_the_tables(data: bytes, context: Context) -> TextRequest | None:
    """What the tables make of it; None if they refuse it, or it says something else."""
    source = Source.of(data)
    row = operations(context).get(source.u64())
    try:
        assert row is not None
        asked: Any = row.request.parse(row.request.read(source, context), context)
        if row.number == FRAMED:
            if asked.method != "text:sha256":
                return None
            framed = FramedSource(source)
            contents = b"".join(framed.chunks())
        else:
            contents = asked.contents
    except FruixError:
        return None
    assert not source.buffered
    return TextRequest(asked.name, contents, sorted({path.text for path in asked.references}))


@pytest.mark.parametrize(("number", "context"), [(TEXT, NIX), (TEXT, OLD), (TEXT, GUIX), (FRAMED, NIX)])
@pytest.mark.parametrize("references", [(), PATHS[:1], PATHS, (*PATHS, *PATHS)])
def test_usual_requests(number: int, context: Context, references: tuple[StorePath, ...]) -> None:
    data = request(number, context, "name-1", b"some text", references)
    assert read(data, context) == by_the_tables(data, context)
    assert read(data, context) == TextRequest(
        "name-1", b"some text", sorted({path.text for path in references})
    )


def test_contents_may_come_later() -> None:
    whole = request(FRAMED, NIX, "name", b"contents", PATHS)
    head = whole[: -8 - len(b"contents") - 8]
    assert read(head, NIX) is INCOMPLETE
    assert read(whole, NIX) == by_the_tables(whole, NIX)


@pytest.mark.parametrize("minor", [NIX_OLDEST, 24])
def test_old_versions_have_another_request_of_that_number(minor: int) -> None:
    assert list(forms(Dialect.NIX, minor)) == [TEXT.to_bytes(8, "little")]
    assert list(forms(Dialect.GUIX, GUIX_NEWEST)) == [TEXT.to_bytes(8, "little")]


def test_what_is_not_usual_is_left_to_the_tables() -> None:
    whole = request(FRAMED, NIX, "name", b"contents", PATHS)
    text = request(TEXT, NIX, "name", b"contents", PATHS)
    other_place = Context(Dialect.NIX, NIX_NEWEST, "/gnu/store")
    many = [StorePath(f"{DIRECTORY}/{number:032}-n") for number in range(200)]
    for data, context in (
        (whole + b"\0" * 8, NIX),  # another request behind it
        (text + text, NIX),
        (request(FRAMED, NIX, "name", b"", PATHS), NIX),
        (request(FRAMED, NIX, "name", b"", PATHS) + b"\0" * 8, NIX),
        (whole.replace(b"text:sha256", b"text:sha999"), NIX),
        (text, other_place),
        (request(TEXT, NIX, "n", b"x" * text_requests.MOST, ()), NIX),
        (request(TEXT, NIX, "n", b"x", many), NIX),
        (request(TEXT, NIX, "n\u00e4me", b"x", ()), NIX),
        (text.replace(b"name\0\0\0\0", b"name\0\0\0x"), NIX),  # padding
        (TEXT.to_bytes(8, "little") + b"\xff" * 32, NIX),
    ):
        assert read(data, context) is None


@given(
    st.sampled_from([(TEXT, NIX), (TEXT, GUIX), (FRAMED, NIX)]),
    st.binary(max_size=40),
    st.lists(st.sampled_from(PATHS), max_size=3),
    st.integers(0, 400),
    st.binary(min_size=1, max_size=9),
    st.booleans(),
)
def test_nothing_is_read_otherwise_than_by_the_tables(
    form: tuple[int, Context], contents: bytes, references: list[StorePath], at: int, damage: bytes, cut: bool
) -> None:
    number, context = form
    whole = request(number, context, "some-name", contents, tuple(references))
    at = 8 + at % (len(whole) - 8)
    data = whole[:at] if cut else whole[:at] + damage + whole[at + len(damage) :]
    found = read(data, context)
    if isinstance(found, TextRequest):
        assert found == by_the_tables(data, context)


@pytest.mark.parametrize(("number", "context"), [(TEXT, NIX), (TEXT, GUIX), (FRAMED, NIX)])
def test_replies_are_those_of_the_tables(number: int, context: Context) -> None:
    address = ContentAddress(Method.TEXT, Hash.of("sha256", b"text"))
    info = PathInfo(
        PATHS[0],
        Hash.of("sha256", b"archive"),
        120,
        tuple(sorted(PATHS[1:])),
        registration_time=1_800_000_000,
        content_address=address,
    )
    references = [path.text for path in info.references]
    text = AddedText(
        info.path, str(address), info.nar_digest, info.nar_size, references, info.registration_time
    )
    expected = bytearray(messages.LAST)
    row = operation(number, context)
    row.reply.write(expected, info if number == FRAMED else info.path, context)
    reply = forms(context.dialect, context.minor)[number.to_bytes(8, "little")][1]
    assert reply(text) == bytes(expected)
