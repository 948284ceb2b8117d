"""Answers that still hold, as the bytes that were sent: a question asked again costs no work.

What is asked of the database alone has the same answer until somebody commits something to it, be it
this daemon or another process. So answers are kept by the very bytes of their requests, and all of
them are forgotten with the first commit that is seen (`Database.version`). So is what a request to build
was told for which nothing had to be done; whoever makes it again needs the same paths, which must not be
collected, and must be there still.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, NamedTuple

from fruix.model.buildresult import BuildResult, BuildStatus
from fruix.model.derivedpath import DerivedPath
from fruix.model.storepath import StorePath
from fruix.protocol.wire import Context

if TYPE_CHECKING:
    from fruix.store.database_file import Version

MOST_REQUEST = 1 << 14  # bytes of a request whose answer may be kept
_MOST_ANSWER = 1 << 14
_MOST = 32 << 20  # bytes of all that is kept: answers of a line about 30,000 paths
_EACH = 350  # bytes that an answer takes besides its own and its request's
_NEED = 120  # and for each path that it needs, with its name


class Answer(NamedTuple):
    """The bytes of one, and the paths that have to be protected and there for it to be given again.

    `names`: the base names of these.
    """

    data: bytes
    needs: Collection[StorePath] = ()
    names: tuple[bytes, ...] = ()

    @classmethod
    def needing(cls, data: bytes, needs: Collection[StorePath]) -> Answer:
        """One for which paths are needed."""
        return cls(data, needs, tuple([os.fsencode(path.base) for path in needs]))


class Answers:
    """Shared by all sessions. Thread-safe."""

    def __init__(self, version: Callable[[], Version | None]) -> None:
        """`version` tells what the answers of now rest on; None: nothing may be kept."""
        self._current = version
        self._changing = threading.Lock()
        self._version: Version | None = None
        self._dialects: list[Context] = []
        self._kept: list[dict[bytes, Answer]] = []
        self._size = 0

    def dialect(self, context: Context) -> int:
        """A number for the way in which answers are written to a client."""
        with self._changing:
            if context not in self._dialects:
                self._dialects.append(context)
                self._kept.append({})
            return self._dialects.index(context)

    def see(self, version: Version | None) -> None:
        """Forget the answers that rest on another version than this one, which is that of now."""
        if version != self._version:
            with self._changing:
                self._forget()
                self._version = version

    def find(
        self, dialect: int, request: bytes, version_with: Callable[[Answer], Version | None] | None = None
    ) -> Answer | None:
        """The answer to a request, if it is known and holds. Costs some 2 µs, else hardly anything.

        `version_with` tells what the answers of now rest on if what an answer needs is there; without it only
        those are found that need nothing.
        """
        kept = self._kept[dialect]
        if (known := kept.get(request)) is None:
            return None
        if not known.needs:
            version = self._current()
        elif version_with is not None:
            version = version_with(known)
        else:
            return None
        if version != self._version:
            self.see(version)
        # Looked up anew: another session may have seen a change meanwhile.
        return known if version is not None and kept.get(request) is known else None

    def keep(self, dialect: int, request: bytes, answer: Answer, version: Version) -> None:
        """Keep an answer, which rests on `version` or on something later."""
        size = len(request) + len(answer.data) + _EACH + _NEED * len(answer.needs)
        if len(answer.data) > _MOST_ANSWER:
            return
        with self._changing:
            if version == self._version:
                if self._size + size > _MOST:
                    self._forget()
                self._kept[dialect][request] = answer
                self._size += size

    def _forget(self) -> None:
        for kept in self._kept:
            kept.clear()
        self._size = 0


def settled(results: Sequence[tuple[DerivedPath, BuildResult]]) -> Collection[StorePath]:
    """The paths that all requests to build found there, where that is all there is to say; else nothing."""
    if any(one.status is not BuildStatus.ALREADY_VALID or one.drv is not None for _, one in results):
        return ()
    return {path for wanted, one in results for path in (wanted.path, *one.outputs.values())}
