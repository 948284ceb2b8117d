"""What a small file costs that is unpacked: calls of Python's functions, and of the system."""

from __future__ import annotations

from fruix.model.nar import write
from fruix.store.tree.restore import restore
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
