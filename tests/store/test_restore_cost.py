"""What an unpacked file costs: a small one calls of functions and of the system, a big one writes."""

from __future__ import annotations

import os

import pytest

from fruix.model.nar import write
from fruix.store.tree.restore import GATHER, restore
from store.deduplication.test_cost import calls

# 16 of Python's functions while names and files were read by one step for each part of an archive's grammar.
MOST = (9, 5)
FEW, MANY = 20, 220


def archive(many: int) -> bytes:
    parts = [write.MAGIC, write.DIRECTORY_HEAD]
    for index in range(many):
        data = b"x" * index
        head = write.entry_head(b"f%04d" % index) + write.file_head(len(data), bool(index & 1))
        parts += [head, data, write.file_tail(len(data)), write.ENTRY_TAIL]
    return b"".join([*parts, write.DIRECTORY_TAIL])


def test_calls_for_a_small_file(here: int) -> None:
    restore([archive(3)], here, b"first")  # what is done once
    archives = [archive(many) for many in (FEW, MANY)]
    few, many = (
        calls(lambda data=data: restore([data], here, b"%d" % len(data)))  # type: ignore[misc]
        for data in archives
    )
    grown = [(after - before) / (MANY - FEW) for before, after in zip(few, many, strict=True)]
    assert [one <= most for one, most in zip(grown, MOST, strict=True)] == [True, True], grown


def big(contents: bytes) -> bytes:
    return (
        write.MAGIC
        + write.file_head(len(contents), executable=False)
        + contents
        + write.file_tail(len(contents))
    )


@pytest.mark.parametrize("piece", [1, 1000, 1 << 16, GATHER, GATHER + 1])
def test_a_big_file_is_written_several_pieces_at_once(
    here: int, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = os.urandom(5 * GATHER // 2 if piece > 1 else 1000)
    archive = big(contents)
    written: list[int] = []

    def some(descriptor: int, pieces: list[memoryview]) -> int:
        written.append(sum(map(len, pieces)))
        return writev(descriptor, [b"".join(pieces)[: None if len(written) % 2 else 77]])

    writev = os.writev
    monkeypatch.setattr(os, "writev", some)
    restore((archive[at : at + piece] for at in range(0, len(archive), piece)), here, b"big")
    with open("big", "rb", opener=lambda name, flags: os.open(name, flags, dir_fd=here)) as file:
        assert file.read() == contents
    assert sum(written) == len(contents)
    assert [size % GATHER for size in written[:-1]] == [0] * (len(contents) // GATHER)
