"""The head of a derivation's text tells what reading all of it tells, or nothing."""

from __future__ import annotations

from typing import Any

import pytest

from fruix.model.aterm import parse
from fruix.model.aterm.outline import Outline, OutlineReader
from fruix.model.storepath import DEFAULT_STORE, StorePath
from golden_data import GOLDEN, load

ROWS = load("drvs.json")["derivations"]


def path(name: str) -> str:
    return f"{DEFAULT_STORE}/{'0' * 32}-{name}"


def text(outputs: str, inputs: str = "", sources: str = "", builder: str = "b") -> bytes:
    return f'Derive([{outputs}],[{inputs}],[{sources}],"s","{builder}",["ä"],[("out","x")])'.encode()


USUAL = f'("out","{path("x")}","","")'


def read(data: bytes) -> Outline | None:
    return OutlineReader(DEFAULT_STORE).read(data)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['client']}-{row['label']}")
def test_golden_derivations(row: dict[str, Any]) -> None:
    data = (GOLDEN / row["file"]).read_bytes()
    whole = parse(data, StorePath.parse(row["drv_path"]).short_name)
    assert read(data) == Outline.of(whole)


def test_some_golden_derivations_are_usual_and_some_are_not() -> None:
    found = [read((GOLDEN / row["file"]).read_bytes()) for row in ROWS]
    assert None in found
    assert any(outline is not None and len(outline.outputs) > 1 for outline in found)
    assert any(outline is not None and len(outline.inputs) > 1 for outline in found)
    assert any(outline is not None and len(outline.sources) > 1 for outline in found)


def test_several_of_everything() -> None:
    data = text(
        f'("lib","{path("x-lib")}","",""),{USUAL}',
        f'("{path("a.drv")}",["lib","out"]),("{path("b.drv")}",["out"])',
        f'"{path("s")}","{path("t")}"',
    )
    found = read(data)
    assert found is not None
    assert found == Outline.of(parse(data, "x"))
    assert found.wanted == (("lib", "out"), ("out",))
    assert found.output_paths == {"lib": StorePath(path("x-lib")), "out": StorePath(path("x"))}
    assert found.paths(("out",)) == [StorePath(path("x"))]
    assert [*found.paths(("*",))] == [*found.paths(())] == [*found.outputs]


FIXED = "0" * 64


@pytest.mark.parametrize(
    "data",
    [
        text('("out","","","")'),
        text('("out","","r:sha256","")'),
        text('("out","","r:sha256","impure")'),
        text(f'("out","{path("x")}","text:sha256","{FIXED}")'),
        text(f'("out","{path("x")}","sha256","impure")'),
        text('("out","/elsewhere/00000000000000000000000000000000-x","","")'),
        text(f'("out","{path("x")}/y","","")'),
        text(USUAL, f'("{path("a.drv")}",[])'),
        text(USUAL, builder='b\\"'),
        text(USUAL, builder="ä"),
        text(USUAL)[:-20][:60],
        b"",
        b"\xff" * 100,
        text(USUAL).replace(b"Derive(", b'DrvWithVersion("xp-dyn-drv",'),
    ],
)
def test_what_is_not_usual_has_no_outline(data: bytes) -> None:
    assert read(data) is None


def test_a_fixed_output_is_usual() -> None:
    data = text(f'("out","{path("x")}","r:sha256","{FIXED}")')
    assert read(data) == Outline.of(parse(data, "x")) is not None


def test_equal_parts_are_one_object() -> None:
    reader = OutlineReader(DEFAULT_STORE)
    first, second = (
        reader.read(text(f'("out","{path(name)}","","")', f'("{path("a.drv")}",["out"])', f'"{path("s")}"'))
        for name in "xy"
    )
    assert first is not None
    assert second is not None
    assert first.inputs[0] is second.inputs[0]
    assert first.wanted[0] is second.wanted[0] is first.names
    assert first.sources is second.sources
    assert first.builder is second.builder
