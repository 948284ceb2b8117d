"""Handlers of the operations on garbage: roots, and collecting what they don't keep.

Anybody who may connect may collect, as with the peers: what is deleted is what nobody keeps. What
the client is told meanwhile has each peer's own words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fruix.daemon.error_messages import EndingRefusalError
from fruix.daemon.session import Rows, Session
from fruix.dataclass import replace
from fruix.errors import FruixError, NotPermittedError, PathAliveError, UsageError
from fruix.model.events import Collecting, Message
from fruix.model.garbage import (
    Collected,
    GarbageEvent,
    Goal,
    LinksSave,
    Marked,
    Report,
    Root,
    RootNote,
    Step,
    UnusedLinks,
    WhyLive,
)
from fruix.protocol import common_operations as common
from fruix.protocol import nix
from fruix.protocol import own_operations as own
from fruix.protocol.activities import Level
from fruix.protocol.model_codecs import Garbage
from fruix.protocol.wire import Dialect

NO_LIMIT = (1 << 64) - 1
CENSORED = "{censored}"
_LIVE, _DEAD, _DELETE_DEAD, _DELETE_THESE = range(4)

_KIB = 1024

_FINDING = "finding garbage collector roots..."
_STAGES: Mapping[int, str] = {
    _LIVE: "determining live/dead paths...",
    _DEAD: "determining live/dead paths...",
    _DELETE_DEAD: "deleting garbage...",
}
_STILL_ALIVE = {
    Dialect.NIX: "Cannot delete path '{}' since it is still alive. To find out why, use: "
    "nix-store --query --roots and nix-store --query --referrers",
    Dialect.GUIX: "cannot delete path `{}' since it is still alive",
}
_STALE = {
    Dialect.NIX: 'removing stale link from "{}" to "{}"',
    Dialect.GUIX: "removing stale link from `{}' to `{}'",
}


def add_indirect_root(session: Session, request: common.AddIndirectRoot) -> None:
    """Register a link of the client; that it can read the link is the client's affair."""
    session.store.add_indirect_root(request.link)


def add_perm_root(session: Session, request: nix.AddPermRoot) -> str:
    """Make a link that is a root, where the client says: for trusted users."""
    if not session.trusted:
        raise NotPermittedError("you are not privileged to create perm roots")
    return session.store.add_permanent_root(request.path, request.link)


def sync_with_gc(session: Session, _request: common.SyncWithGC) -> None:
    """Have a running collection look at links again: nobody has to wait for its end."""
    session.store.sync_with_collections()


def find_roots(session: Session, _request: common.FindRoots) -> tuple[Root, ...]:
    """List the roots, as the peers do: to Guix's clients only links; to others not whose processes.

    Temporary roots and what processes use are named to trusted users only.
    """
    links_only = session.context.dialect is Dialect.GUIX
    with session.long_work():
        found = session.store.find_roots(report=_note_teller(session), processes=not links_only)
    roots = [Root(_shown(session, root), root.target) for root in found]
    return tuple(dict.fromkeys(roots))


def _shown(session: Session, root: Root) -> str:
    return root.link if root.is_link or session.trusted else CENSORED


def collect_garbage(session: Session, request: common.CollectGarbage) -> Garbage:
    """List what is alive or dead, delete what is dead, or delete some paths.

    Raises:
        UsageError: no such action.
        NotPermittedError: nobody may have the roots ignored.
    """
    if session.peer.remote:
        raise EndingRefusalError("Garbage collection is disabled for remote hosts.")
    if request.ignore_liveness:
        raise NotPermittedError("you are not allowed to ignore liveness")
    if request.action not in _ACTIONS:
        raise UsageError(f"there is no action {request.action} for collecting garbage")
    say(session, _FINDING)
    with session.long_work():
        return _ACTIONS[request.action](session, request)


def _live(session: Session, request: common.CollectGarbage) -> Garbage:
    paths = session.store.live_paths(session.keep(), _teller(session, request))
    return Garbage(tuple(map(str, paths)), 0)


def _dead(session: Session, request: common.CollectGarbage) -> Garbage:
    paths = session.store.dead_paths(session.keep(), _teller(session, request))
    return Garbage(tuple(map(str, paths)), 0)


def _delete_dead(session: Session, request: common.CollectGarbage) -> Garbage:
    goal = Goal(max_freed=None if request.max_freed == NO_LIMIT else request.max_freed)
    return _deleted(session, request, lambda report: session.store.collect(session.keep(), goal, report))


def _delete_these(session: Session, request: common.CollectGarbage) -> Garbage:
    dialect = session.context.dialect

    def delete(report: Report) -> Collected:
        referrers = dialect is Dialect.GUIX  # there what refers to a path goes with it
        return session.store.delete(request.paths, session.keep(), referrers=referrers, report=report)

    try:
        return _deleted(session, request, delete)
    except PathAliveError as error:
        if session.is_own:
            raise
        raise FruixError(_STILL_ALIVE[dialect].format(error.path)) from error


def _deleted(
    session: Session,
    request: common.CollectGarbage,
    work: Callable[[Report], Collected],
) -> Garbage:
    paths: list[str] = []
    tell = _teller(session, request)

    def report(event: GarbageEvent) -> None:
        tell(event)
        if isinstance(event, Step):
            paths.extend(event.paths)

    found = work(report)
    return Garbage(tuple(paths), found.freed)


def _is_limited(request: common.CollectGarbage) -> bool:
    return request.action == _DELETE_DEAD and request.max_freed != NO_LIMIT


def collect_store(session: Session, request: own.CollectStore) -> Collected:
    """Collect until the goal is reached, telling how far it has come.

    Raises:
        NotPermittedError: roots of others may be removed by trusted users only.
    """
    if request.goal.older_than is not None and not session.trusted:
        raise NotPermittedError(
            "having old roots removed is for trusted users",
            hint="ask for your name in the daemon's setting 'trusted-users', or leave '--older-than' out",
        )
    state = Collecting("roots")
    session.report(state)

    def tell(event: GarbageEvent) -> None:
        nonlocal state
        match event:
            case Marked():
                state = replace(state, stage="marked", live=event.live, total=event.total)
            case Step():
                gone = state.deleted + len(event.paths)
                state = replace(
                    state, stage="deleting", deleted=gone, freed=event.freed, paths=tuple(event.paths)
                )
            case UnusedLinks():
                state = replace(state, stage="links", freed=event.freed, paths=())
            case RootNote():
                _note_teller(session)(event)
                return
            case LinksSave():
                return
        session.report(state)

    with session.long_work():
        return session.store.collect(session.keep(), request.goal, tell)


def query_why_live(session: Session, request: own.QueryWhyLive) -> WhyLive:
    """Show what keeps a path alive, without the names of others' processes."""
    found = session.store.why_live(request.path, session.keep())
    return replace(found, root=_shown(session, Root(found.root, request.path)))


def _teller(session: Session, request: common.CollectGarbage) -> Report:
    """Tell the client what happens, in the words of its own daemon."""
    of_guix = session.context.dialect is Dialect.GUIX
    note = _note_teller(session)

    def tell(event: GarbageEvent) -> None:
        match event:
            case Marked() if request.action in _STAGES and request.max_freed:
                say(session, _STAGES[request.action])
            case UnusedLinks():
                if _is_limited(request) and event.freed > request.max_freed:
                    what = "deleted or invalidated" if of_guix else "deleted"
                    say(session, f"{what} more than {request.max_freed} bytes; stopping", more=True)
                say(session, "deleting unused links...")
            case LinksSave() if of_guix:
                say(session, f"note: currently hard linking saves {guix_size(event.size)}", more=True)
            case RootNote():
                note(event)
            case Step():
                done = f"[{_progress(request, event.freed)}] " if of_guix else ""
                say(session, *(f"{done}deleting '{path}'" for path in event.paths), more=True)

    return tell


def _note_teller(session: Session) -> Report:
    """Tell the client of links among the roots."""

    def tell(event: GarbageEvent) -> None:
        match event:
            case RootNote(what="stale"):
                say(session, _STALE[session.context.dialect].format(event.link, event.target))
            case RootNote():
                say(session, f"can't look at '{event.link}': {event.target}")

    return tell


def say(session: Session, *texts: str, more: bool = False) -> None:
    """Lines for people, if the client's verbosity wants them; `more`: Guix's clients, if they want more."""
    level = int(more) if session.context.dialect is Dialect.GUIX else Level.INFO
    session.show(*(Message(level, text) for text in texts))


def _progress(request: common.CollectGarbage, freed: int) -> str:
    """How far a collection is, as Guix says it: in per cent where there is a limit."""
    return f"{min(100, freed * 100 // request.max_freed)}%" if _is_limited(request) else guix_size(freed)


def guix_size(size: int) -> str:
    """In Guix's form: `   0  bytes`, `  14.67 KiB`, `   1.90 MiB`."""
    if size < _KIB:
        return f"{size:4d}  bytes"
    return f"{size / _KIB:7.2f} KiB" if size < _KIB**2 else f"{size / _KIB**2:7.2f} MiB"


_ACTIONS: Mapping[int, Callable[[Session, common.CollectGarbage], Garbage]] = {
    _LIVE: _live,
    _DEAD: _dead,
    _DELETE_DEAD: _delete_dead,
    _DELETE_THESE: _delete_these,
}

SHARED: Rows = (
    common.AddIndirectRoot.answered_by(add_indirect_root),
    common.SyncWithGC.answered_by(sync_with_gc),
    common.FindRoots.answered_by(find_roots),
    common.CollectGarbage.answered_by(collect_garbage),
)
NIX: Rows = (
    nix.AddPermRoot.answered_by(add_perm_root),
    own.CollectStore.answered_by(collect_store),
    own.QueryWhyLive.answered_by(query_why_live),
)
