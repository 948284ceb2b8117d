"""`RemoteGarbage`: what a daemon's store keeps alive and why, and having the rest deleted."""

from __future__ import annotations

from collections.abc import Iterable

from fruix.client.contents import RemoteContents
from fruix.client.exchange import OnEvent
from fruix.errors import BadStorePathError
from fruix.model.events import Collecting
from fruix.model.garbage import Collected, Goal, Root, WhyLive
from fruix.model.storepath import StorePath
from fruix.protocol import own_operations as own
from fruix.protocol.common_operations import CollectGarbage, FindRoots
from fruix.protocol.model_codecs import Garbage
from fruix.protocol.wire import FEATURE

_LIVE, _DEAD, _DELETE_DEAD, _DELETE_THESE = range(4)
_NO_LIMIT = (1 << 64) - 1


class RemoteGarbage(RemoteContents):
    """A connection to a daemon, for collections."""

    def collect(self, goal: Goal, on_event: OnEvent | None = None) -> Collected:
        """Have the daemon collect garbage until `goal` is reached; told of as it goes.

        Raises:
            NotPermittedError: the goal removes roots, which is for trusted users.
            ProtocolError: it is no fruix daemon, and the goal is one that only those know.
        """
        if FEATURE in self._exchange.context.features or not _is_common(goal):
            return self.call_own("knows no such goal", own.CollectStore(goal), on_event=on_event)
        return self._collect_elsewhere(goal, on_event)

    def _collect_elsewhere(self, goal: Goal, on_event: OnEvent | None) -> Collected:
        """By the operation that all daemons have; it tells at its end what it deleted."""
        live = len(self._garbage(_LIVE).paths)
        if goal.dry_run:
            names = self._garbage(_DEAD).paths
            found = Garbage(names, sum(map(self._archive_size, names)))
        else:
            found = self._garbage(_DELETE_DEAD, goal.max_freed)
        if on_event is not None:
            on_event(Collecting("deleting", live, 0, len(found.paths), found.freed, found.paths))
        return Collected(live, len(found.paths), found.freed)

    def _archive_size(self, name: str) -> int:
        """Of something dead in the store; 0 if it isn't valid."""
        try:
            info = self.path_info(StorePath.parse(name, self.directory))
        except BadStorePathError:
            return 0
        return info.nar_size if info else 0

    def _garbage(self, action: int, max_freed: int | None = None) -> Garbage:
        return self._call(CollectGarbage(action, (), False, _NO_LIMIT if max_freed is None else max_freed))

    def delete(self, paths: Iterable[StorePath]) -> Garbage:
        """Delete these paths if nothing keeps them alive.

        Raises:
            PathAliveError: something does; nothing is deleted.
        """
        return self._call(CollectGarbage(_DELETE_THESE, tuple(paths), False, _NO_LIMIT))

    def garbage(self, *, alive: bool) -> list[str]:
        """What is alive, or what a collection would delete: names of paths and other objects."""
        return sorted(self._garbage(_LIVE if alive else _DEAD).paths)

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


def _is_common(goal: Goal) -> bool:
    """Whether daemons that aren't Fruix's know that goal."""
    is_limited = goal.max_freed is not None
    return goal.min_free is None and goal.older_than is None and not (goal.dry_run and is_limited)
