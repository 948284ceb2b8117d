"""Hashing a stream beside whatever else is done with it.

hashlib lets go of the interpreter lock, so a thread that hashes runs in parallel with the one that
reads, scans or writes. Small streams (up to `INLINE`) are hashed in place: starting a thread costs
more than hashing them. At most `_AHEAD` chunks wait, so memory is bounded by the chunk size. With
sixteen, 256 MiB took a tenth longer to read, scan and hash.

Cost: SHA-256 speed (0.4 to 2 GB/s), whatever the consumer does in between, and a third more processor
time than where it is read (`verification.objects`).
"""

from __future__ import annotations

import queue
import threading
from types import TracebackType
from typing import Self

from fruix.model.hashes import Hash, hasher
from fruix.threads import Thread

INLINE = 1 << 20
_AHEAD = 4


class StreamHash:
    """The hash and size of a stream of chunks.

    A context manager: leaving it ends the thread, whatever happened.

    Chunks must not change after they were given (bytes, or views of bytes).
    """

    def __init__(self, algorithm: str) -> None:
        self.algorithm = algorithm
        self.size = 0
        self._state = hasher(algorithm)
        self._queue: queue.Queue[bytes | memoryview | None] | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._join()

    def update(self, chunk: bytes | memoryview) -> None:
        """Take the next chunk."""
        self.size += len(chunk)
        if self._queue is None:
            if self.size <= INLINE:
                self._state.update(chunk)
                return
            self._queue = self._start()
        self._queue.put(chunk)

    def finish(self) -> Hash:
        """The hash of all that was given; nothing can be added afterwards."""
        self._join()
        return Hash(self.algorithm, self._state.digest())

    def continued(self, more: bytes) -> Hash:
        """The hash of all that was given and of `more` behind it, once it is finished."""
        self._join()
        state = self._state.copy()
        state.update(more)
        return Hash(self.algorithm, state.digest())

    def _start(self) -> queue.Queue[bytes | memoryview | None]:
        chunks: queue.Queue[bytes | memoryview | None] = queue.Queue(_AHEAD)
        self._thread = Thread(target=self._run, args=(chunks,), name="hash")
        self._thread.start()
        return chunks

    def _run(self, chunks: queue.Queue[bytes | memoryview | None]) -> None:
        while (chunk := chunks.get()) is not None:
            self._state.update(chunk)

    def _join(self) -> None:
        if self._thread is not None and self._queue is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None
