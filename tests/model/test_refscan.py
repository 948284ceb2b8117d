from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fruix.model.base32 import ALPHABET
from fruix.model.refscan import ReferenceScanner


def parts(count: int, seed: int = 1) -> list[bytes]:
    chance = random.Random(seed)
    return ["".join(chance.choices(ALPHABET, k=32)).encode() for _ in range(count)]


COUNTS = [1, 2, 9, 200]


def scan(chunks: list[bytes], candidates: list[bytes]) -> set[bytes]:
    scanner = ReferenceScanner(candidates)
    for chunk in chunks:
        scanner.feed(chunk)
    return scanner.found


@pytest.mark.parametrize("count", COUNTS)
def test_found_at_every_offset_and_border(count: int) -> None:
    candidates = parts(count)
    wanted = candidates[0]
    for offset in range(9):
        data = b"/" * offset + wanted + b"-x"
        assert scan([data], candidates) == {wanted}
        for cut in range(len(data)):
            assert scan([data[:cut], data[cut:]], candidates) == {wanted}


@pytest.mark.parametrize("count", COUNTS)
def test_found_byte_by_byte(count: int) -> None:
    candidates = parts(count)
    data = b"\0\0" + candidates[-1] + b"\0" + candidates[0]
    assert scan([data[i : i + 1] for i in range(len(data))], candidates) == {candidates[0], candidates[-1]}


@pytest.mark.parametrize("count", COUNTS)
def test_found_inside_long_runs(count: int) -> None:
    candidates = parts(count)
    noise = "".join(random.Random(2).choices(ALPHABET, k=5000)).encode()
    for at in (0, 1, 2, 3, 4, 2500, 5000):
        assert scan([noise[:at] + candidates[0] + noise[at:]], candidates) == {candidates[0]}


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=6), st.integers(1, 40), st.data())
def test_same_as_plain_search(noise: bytes, at: list[int], chunk: int, data: st.DataObject) -> None:
    candidates = parts(data.draw(st.sampled_from(COUNTS)))
    blob = noise
    for position in at:
        part = data.draw(st.sampled_from(candidates))
        blob = blob[:position] + part[: data.draw(st.sampled_from([31, 32]))] + blob[position:]
    chunks = [blob[i : i + chunk] for i in range(0, len(blob), chunk)]
    assert scan(chunks, candidates) == {part for part in candidates if part in blob}
