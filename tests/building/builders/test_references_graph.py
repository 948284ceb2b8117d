"""The sizes of closures, against the plain way to sum them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fruix.building.builders.references_graph import closure_sizes
from fruix.errors import FruixError
from fruix.model.hashes import Hash
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath
from fruix.store.tree.interruption import interruptible

HASH = Hash.of("sha256", b"")


def path(number: int) -> StorePath:
    return StorePath(f"/frx/store/{'0' * 32}-p{number}")


@st.composite
def graphs(draw: st.DrawFn) -> list[PathInfo]:
    """References lead to smaller numbers, or to the path itself."""
    count = draw(st.integers(0, 20))
    infos = [
        PathInfo(
            path(number),
            HASH,
            draw(st.integers(1, 1000)),
            tuple(map(path, sorted(draw(st.sets(st.integers(0, number), max_size=5))))),
        )
        for number in range(count)
    ]
    return draw(st.permutations(infos))


@given(graphs())
def test_sizes(infos: list[PathInfo]) -> None:
    known = {info.path: info for info in infos}
    for start, size in closure_sizes(infos).items():
        seen, stack = {start}, [start]
        while stack:
            new = set(known[stack.pop()].references) - seen
            seen |= new
            stack.extend(new)
        assert size == sum(known[found].nar_size for found in seen)


def test_sizes_nobody_wants_any_more() -> None:
    """For n paths they cost n² steps: whoever lists many must be able to change his mind."""
    infos = [PathInfo(path(number), HASH, 1, (path(number),)) for number in range(1000)]
    asked: list[None] = []

    def check() -> Exception | None:
        asked.append(None)
        return FruixError("enough") if len(asked) > 10 else None

    with pytest.raises(FruixError, match="enough"), interruptible(check):
        closure_sizes(infos)
    assert len(asked) == 11
