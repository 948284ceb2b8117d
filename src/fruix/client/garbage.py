"""`RemoteGarbage`: what a daemon's store keeps alive and why, and having the rest deleted."""

from __future__ import annotations

from collections.abc import Iterable

from fruix.client.contents import RemoteContents
from fruix.client.exchange import OnEvent
from fruix.model.garbage import Collected, Goal, Root, WhyLive
from fruix.model.storepath import StorePath
from fruix.protocol import own_operations as own
from fruix.protocol.common_operations import CollectGarbage, FindRoots
from fruix.protocol.model_codecs import Garbage

_LIVE, _DEAD, _DELETE_THESE = 0, 1, 3
_NO_LIMIT = (1 << 64) - 1


class RemoteGarbage(RemoteContents):
    """A connection to a daemon, for collections."""

    def collect(self, goal: Goal, on_event: OnEvent | None = None) -> Collected:
        """Have the daemon collect garbage until `goal` is reached; told of as it goes.

        Raises:
            NotPermittedError: the goal removes roots, which is for trusted users.
            ProtocolError: it is no fruix daemon.
        """
        return self.call_own("can't say how far it has come", own.CollectStore(goal), on_event=on_event)

    def delete(self, paths: Iterable[StorePath]) -> Garbage:
        """Delete these paths if nothing keeps them alive.

        Raises:
            PathAliveError: something does; nothing is deleted.
        """
        return self._call(CollectGarbage(_DELETE_THESE, tuple(paths), False, _NO_LIMIT))

    def garbage(self, *, alive: bool) -> list[str]:
        """What is alive, or what a collection would delete: names of paths and other objects."""
        return sorted(self._call(CollectGarbage(_LIVE if alive else _DEAD, (), False, _NO_LIMIT)).paths)

    def roots(self) -> list[Root]:
        """Every root; what sessions and processes use is `{censored}` for untrusted users."""
        return list(self._call(FindRoots()))

    def why_live(self, path: StorePath) -> WhyLive:
        """What keeps a valid path alive.

        Raises:
            InvalidPathError: it is not valid.
            ProtocolError: it is no fruix daemon.
        """
        return self.call_own("can't say why a path is alive", own.QueryWhyLive(path))
