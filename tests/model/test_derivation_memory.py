"""What it takes to read and write a derivation, in memory.

A small multiple of its size, whatever it holds.
"""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fruix.errors import BadDerivationError
from fruix.model import aterm
from fruix.model.aterm import parsing, quick_parsing
from fruix.model.derivation import Derivation

MIB = 1 << 20
OUT = b"/frx/store/" + b"0" * 32 + b"-x"


def text(*, args: bytes = b"", env: bytes = b"", sources: bytes = b"", inputs: bytes = b"") -> bytes:
    comma = b"," if env else b""
    outputs = b'[("out","%b","","")]' % OUT
    return b'Derive(%b,[%b],[%b],"s","b",[%b],[%b%b("out","%b")])' % (
        outputs,
        inputs,
        sources,
        args,
        env,
        comma,
        OUT,
    )


def value(contents: bytes) -> bytes:
    return text(env=b'("a","%b")' % contents)


N = 20_000
CASES = {
    "escapes": value(b"\\n" * (2 * MIB)),
    "backslashes": value(b"\\\\" * (2 * MIB)),
    "mixed": value(b'abc\\"d\\\\\\n\\t' * (MIB // 4)),
    "plain": value(b"x" * 4 * MIB),
    "not ASCII": value("ä".encode() * 2 * MIB),
    "beyond U+FFFF": value(b"\\n" * MIB + "\U0001f600".encode() + b"x" * MIB),
    "no UTF-8": value(b"\xff" * 2 * MIB),
    "arguments": text(args=b",".join([b'"ab"'] * N)),
    "variables": text(env=b",".join(b'("a%08d","cd")' % number for number in range(N))),
    "sources": text(sources=b",".join(b'"/frx/store/%032d-a"' % number for number in range(N))),
    "inputs": text(inputs=b",".join(b'("/frx/store/%032d-a.drv",["out"])' % number for number in range(N))),
}


@pytest.mark.parametrize("name", CASES)
def test_memory(name: str) -> None:
    data = CASES[name]
    tracemalloc.start()
    try:
        derivation = aterm.parse(data, "x")
        held, highest = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        written = aterm.render(derivation)
        again = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert written == data
    assert held <= aterm.held(data)
    assert max(highest, again) <= aterm.peak(data)
    assert aterm.peak(data) <= 8 * len(data) + 1200 * data.count(b'",') + 4096


def test_forty_megabytes_of_escapes() -> None:
    data = value(b"\\n" * (20 * MIB))
    tracemalloc.start()
    try:
        assert aterm.parse(data, "x").env["a"] == "\n" * (20 * MIB)
        assert tracemalloc.get_traced_memory()[1] < 2 * len(data)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("field", ["args", "env", "sources"])
def test_lists_are_limited(field: str, large: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsing, "WHOLE", 0 if large else 64 * MIB)
    for module in (parsing, quick_parsing):
        monkeypatch.setattr(module, "MAX_ITEMS", 100)
    items = {
        "args": b'"x%03d"',
        "env": b'("a%03d","")',
        "sources": b'"/frx/store/%032d-a"',
    }
    for count, fits in ((99, True), (101, False)):
        data = text(**{field: b",".join(items[field] % number for number in range(count))})
        if fits:
            assert aterm.render(aterm.parse(data, "x")) == data
        else:
            with pytest.raises(BadDerivationError, match="more than 100 items in a list"):
                aterm.parse(data, "x")


def outcome(data: bytes) -> Derivation | str:
    try:
        return aterm.parse(data, "x")
    except BadDerivationError as error:
        return str(error)


def piecewise(data: bytes) -> tuple[Derivation | str, Derivation | str]:
    """As small files are read, and as large ones are."""
    whole = outcome(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parsing, "WHOLE", 0)
        return whole, outcome(data)


@given(
    st.lists(st.sampled_from([b"\\", b"n", b'"', b"\\n", b"\\\\", b'\\"', b"x", b",", b"\xff", b"(", b"]"]))
)
def test_both_ways_of_reading_agree(parts: list[bytes]) -> None:
    for data in (value(b"".join(parts)), text(args=b'"' + b"".join(parts) + b'"')):
        whole, pieces = piecewise(data)
        assert whole == pieces
        if isinstance(whole, Derivation):
            assert aterm.parse(aterm.render(whole), "x") == whole


@given(st.binary(max_size=40), st.integers(0, 150), st.integers(0, 150))
def test_both_agree_on_damaged_files(noise: bytes, start: int, size: int) -> None:
    data = text(args=b'"a","b\\n"', env=b'("a","b"),("c","\\"")')
    whole, pieces = piecewise(data[:start] + noise + data[start + size :])
    assert whole == pieces


def test_both_agree_on_golden_files() -> None:
    files = sorted(Path(__file__).parent.parent.glob("golden/drvs/**/*.drv"))
    assert files
    for file in files:
        data = file.read_bytes().replace(b"/nix/store", b"/frx/store").replace(b"/gnu/store", b"/frx/store")
        whole, pieces = piecewise(data)
        assert whole == pieces
        if not data.startswith(b"DrvWithVersion"):
            assert whole == quick_parsing.parse_usual(data, "x", "/frx/store"), "it is a usual one"
