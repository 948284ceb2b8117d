"""The protocol of `ssh://`: versions, and what of it older ones have."""

from __future__ import annotations

import pytest

from fruix.errors import ProtocolError
from fruix.model.derivedpath import ALL, DerivedPath
from fruix.model.storepath import StorePath
from fruix.protocol import serve
from fruix.protocol.reader import Source
from fruix.protocol.wire import Context, Dialect

DRV = StorePath.parse("/frx/store/0c0igv7g3rnyq6xjzwgjd1zdcn0bwfpb-a.drv")


def _numbers(*values: int) -> bytes:
    return b"".join(value.to_bytes(8, "little") for value in values)


@pytest.mark.parametrize(("version", "minor"), [(0x207, 7), (0x205, 5), (0x209, 7), (0x201, 1)])
def test_the_lower_version_holds(version: int, minor: int) -> None:
    said = bytearray()
    context = serve.welcome(Source.of(_numbers(0x390C9DEB, version)), said.extend, "/frx/store")
    assert bytes(said) == _numbers(0x5452EECB, 0x207)
    assert context.minor == minor


@pytest.mark.parametrize("greeting", [(0x6E697863, 0x126), (0x390C9DEB, 0x100), (0x390C9DEB, 0x200)])
def test_other_protocols_are_refused(greeting: tuple[int, int]) -> None:
    with pytest.raises(ProtocolError):
        serve.welcome(Source.of(_numbers(*greeting)), lambda _: None, "/frx/store")


@pytest.mark.parametrize("outputs", [ALL, ("out",)])
@pytest.mark.parametrize("via", [(), ("out",), ("a", "b")])
def test_outputs_of_outputs_stay_such(outputs: tuple[str, ...], via: tuple[str, ...]) -> None:
    context, row = Context(Dialect.NIX, 7, "/frx/store"), serve.SERVE[6].request
    request = serve.BuildPaths((DerivedPath(DRV, outputs, via),), serve.ServeOptions(1, 2))
    sink = bytearray()
    row.write(sink, request, context)
    assert row.parse(row.read(Source.of(bytes(sink)), context), context) == request


@pytest.mark.parametrize(("minor", "numbers"), [(1, 2), (2, 3), (3, 5), (6, 5), (7, 6)])
def test_options_grew(minor: int, numbers: int) -> None:
    context = Context(Dialect.NIX, minor, "/frx/store")
    request = serve.BuildPaths((DerivedPath(DRV, ALL),), serve.ServeOptions(1, 2))
    sink = bytearray()
    row = serve.SERVE[6].request
    row.write(sink, request, context)
    assert row.parse(row.read(Source.of(bytes(sink)), context), context) == request
    assert len(sink) == 8 + 8 + (len(str(DRV)) + 7) // 8 * 8 + 8 * numbers
