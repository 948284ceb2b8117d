from __future__ import annotations

import os
import queue
import threading
from queue import Queue

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fruix.model.hashes import Hash
from fruix.store.tree.dump import dump
from fruix.store.tree.hashing import INLINE, StreamHash


@given(st.lists(st.binary(max_size=300)), st.sampled_from(["sha256", "md5", "blake2s-256"]))
@settings(deadline=None)
def test_hash_of_a_stream(chunks: list[bytes], algorithm: str) -> None:
    with StreamHash(algorithm) as stream:
        for chunk in chunks:
            stream.update(chunk)
        data = b"".join(chunks)
        assert stream.size == len(data)
        assert stream.finish() == Hash.of(algorithm, data)


@pytest.mark.parametrize("size", [INLINE - 1, INLINE, INLINE + 1, 5 * INLINE + 3])
def test_big_streams_are_hashed_in_a_thread_that_ends(size: int) -> None:
    before = threading.active_count()
    data = memoryview(bytes(range(256)) * (size // 256 + 1))[:size]
    with StreamHash("sha256") as stream:
        for start in range(0, size, 100_000):
            stream.update(data[start : start + 100_000])
        assert (threading.active_count() > before) == (size > INLINE)
        assert stream.finish() == Hash.of("sha256", data)
    assert threading.active_count() == before


def test_the_thread_ends_when_the_work_is_given_up() -> None:
    before = threading.active_count()

    def give_up() -> None:
        with StreamHash("sha256") as stream:
            stream.update(bytes(2 * INLINE))
            raise InterruptedError

    with pytest.raises(InterruptedError):
        give_up()
    assert threading.active_count() == before


def test_no_more_than_a_mebibyte_of_a_file_waits_to_be_hashed(
    here: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waited for long has left the processor's cache: with 16 MiB all of it took a tenth longer."""
    most: list[int] = []

    def noted(places: int) -> Queue[bytes | memoryview | None]:
        most.append(places)
        return Queue(places)

    monkeypatch.setattr(queue, "Queue", noted)
    target = os.open("big", os.O_WRONLY | os.O_CREAT, 0o400, dir_fd=here)
    os.truncate(target, 3 * INLINE + 1)
    os.close(target)
    biggest = 0
    with StreamHash("sha256") as stream:
        for piece in dump(here, b"big"):
            stream.update(piece)
            biggest = max(biggest, len(piece))
    assert [places * biggest for places in most] == [1 << 20]
