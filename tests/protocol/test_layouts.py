from __future__ import annotations

import dataclasses
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fruix.errors import DisconnectedError, ProtocolError
from fruix.model.storepath import StorePath
from fruix.protocol import messages
from fruix.protocol.build_codecs import BUILD_RESULT
from fruix.protocol.common_operations import AddTempRoot, EnsurePath
from fruix.protocol.model_codecs import KEYED_INFO
from fruix.protocol.nix import AddToStore
from fruix.protocol.numbers import NIX_OLDEST
from fruix.protocol.operations import TABLES, operations
from fruix.protocol.reader import Source
from fruix.protocol.records import Operation, keeps
from fruix.protocol.wire import Codec, Context, Dialect
from protocol.strategies import STORE, of_codec, texts

OWN = frozenset({"fruix-1"})
PATH = StorePath.parse(f"{STORE}/{'0' * 32}-a", STORE)
CONTEXTS = [
    Context(Dialect.NIX, 21, STORE),
    Context(Dialect.NIX, 24, STORE),
    Context(Dialect.NIX, 28, STORE),
    Context(Dialect.NIX, 34, STORE),
    Context(Dialect.NIX, 37, STORE),
    Context(Dialect.NIX, 38, STORE, OWN),
    Context(Dialect.GUIX, 0x63, STORE),
    Context(Dialect.GUIX, 0x64, STORE),
]
ROWS = [(context, row) for context in CONTEXTS for row in operations(context).values()]
few = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def row_id(value: Any) -> str:
    return value.name if isinstance(value, Operation) else f"{value.dialect.value}-{value.minor}"


@pytest.mark.parametrize(("context", "row"), ROWS, ids=row_id)
@few
@given(data=st.data())
def test_requests_and_replies_come_back_as_they_were(
    context: Context, row: Operation, data: st.DataObject
) -> None:
    for codec in (row.request, row.reply):
        round_trip(codec, data.draw(of_codec(codec, context)), context)


def round_trip(codec: Codec[Any], value: Any, context: Context) -> None:
    sink = bytearray()
    codec.write(sink, value, context)
    assert len(sink) % 8 == 0
    source = Source.of(bytes(sink))
    assert codec.parse(codec.read(source, context), context) == value
    assert source.buffered == 0
    if sink:
        with pytest.raises(DisconnectedError):
            codec.read(Source.of(bytes(sink[:-1])), context)


@pytest.mark.parametrize("codec", [KEYED_INFO, BUILD_RESULT], ids=["info", "result"])
@pytest.mark.parametrize("context", CONTEXTS[:6], ids=row_id)
@few
@given(data=st.data())
def test_values_come_back(codec: Codec[Any], context: Context, data: st.DataObject) -> None:
    value = data.draw(of_codec(codec, context))
    sink = bytearray()
    codec.write(sink, value, context)
    assert codec.parse(codec.read(Source.of(bytes(sink)), context), context) == value


fields = st.lists(st.integers(0, (1 << 64) - 1) | texts, max_size=3).map(tuple)
numbers = st.integers(0, (1 << 64) - 1)
said = st.one_of(
    st.builds(messages.Next, texts),
    st.builds(messages.Read, numbers),
    st.builds(messages.Write, st.binary(max_size=50)),
    st.just(messages.Last()),
    st.builds(
        messages.StartActivity, numbers, st.sampled_from([0, 1, 3, 7]), numbers, texts, fields, numbers
    ),
    st.builds(messages.StopActivity, numbers),
    st.builds(messages.Result, numbers, numbers, fields),
)


@given(said)
def test_messages_come_back(message: messages.Message) -> None:
    for context in CONTEXTS:
        data = messages.encode(message, context)
        source = Source.of(data)
        assert messages.read(source, context) == message
        assert source.buffered == 0


@given(texts, st.integers(0, 200), st.lists(texts, max_size=3))
def test_errors_have_a_form_for_each_version(text: str, status: int, traces: list[str]) -> None:
    failure = messages.Failure(text, status, tuple(traces), "UsageError")
    for context in CONTEXTS:
        again = messages.read(Source.of(messages.encode(failure, context)), context)
        if context.dialect is Dialect.GUIX or context.minor < 26:
            assert again == messages.Failure(text, status)
        else:
            assert again == messages.Failure(text, 1, tuple(traces), "UsageError")


def test_unknown_message_codes_are_refused() -> None:
    with pytest.raises(ProtocolError, match="message code 0x7"):
        messages.read(Source.of(bytes([7, 0, 0, 0, 0, 0, 0, 0])), CONTEXTS[0])


def test_numbers_and_names_are_unique() -> None:
    for context in [
        *CONTEXTS,
        *(Context(Dialect.NIX, minor, STORE) for minor in range(NIX_OLDEST, 34)),
    ]:
        present = [row for row in TABLES[context.dialect] if row.present(context)]
        assert len({row.number for row in present}) == len(present)
        assert len({row.name for row in present}) == len(present)


@pytest.mark.parametrize("dialect", Dialect)
def test_a_request_has_the_fields_of_its_row_and_is_frozen(dialect: Dialect) -> None:
    for row in TABLES[dialect]:
        parts = {part.name for part in row.request.fields if keeps(part)}
        names = row.kind.__match_args__
        assert {*names} - row.kind.defaults.keys() <= parts <= {*names}
        assert vars(row.kind)["__slots__"] == names
        assert not dataclasses.is_dataclass(row.kind)  # which would compile its methods
        request = object.__new__(row.kind)
        assert not hasattr(request, "__dict__")
        with pytest.raises(AttributeError):
            request.path = None


def test_requests_are_values() -> None:
    once, again = AddToStore("a", "text:sha256", ()), AddToStore("a", method="text:sha256", references=())
    assert once == again
    assert hash(once) == hash(again)
    assert once.repair is False
    assert once != AddToStore("a", "text:sha256", (), repair=True)
    assert EnsurePath(PATH) != AddTempRoot(PATH)
    assert repr(once) == "AddToStore(name='a', method='text:sha256', references=(), repair=False)"


@pytest.mark.parametrize(
    ("values", "named"),
    [((), {}), ((PATH, PATH), {}), ((PATH,), {"path": PATH}), ((PATH,), {"other": 1}), ((), {"other": 1})],
    ids=["none", "too many", "twice", "unknown one more", "unknown"],
)
def test_a_request_takes_its_attributes_and_no_others(values: tuple[Any, ...], named: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=r"EnsurePath takes \(path\)"):
        EnsurePath(*values, **named)


def test_the_classes_of_requests_cost_no_compiling() -> None:
    """A dataclass compiles its methods; each client's command would wait for some fifty of them."""
    program = (
        "import sys\n"
        "from fruix.protocol.records import Request\n"
        "compiled = []\n"
        "sys.addaudithook(lambda event, _: compiled.append(event) if event == 'compile' else None)\n"
        "class AsDone(Request[None]):\n"
        "    path: str\n"
        "    repair: bool = False\n"
        "assert AsDone('p') == AsDone('p', False)\n"
        "print(len(compiled))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout == "0\n"
