"""Handlers of the operations that look through the whole store and repair it.

Clients of Nix and Guix are told what their own daemons tell, and what has gone without anything
needing it is forgotten, as there. Fruix's own get findings, and nothing is changed but by `repair`.

What is damaged is made again by building (`building.plan.repair`, through `Session.realise`); a
substituter would be asked there, before a derivation is chosen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fruix.daemon.error_messages import guix_quotes
from fruix.daemon.handlers.collect import say
from fruix.daemon.session import Rows, Session
from fruix.errors import FruixError, NotPermittedError
from fruix.model.buildresult import BuildMode
from fruix.model.derivedpath import DerivedPath
from fruix.model.events import Message
from fruix.model.finding import Finding, FindingKind, to_be_made_again
from fruix.model.storepath import StorePath
from fruix.protocol.common_operations import VerifyStore
from fruix.protocol.own_operations import CheckStore
from fruix.protocol.wire import Dialect

# What the peers' daemons say before each part: existence, then with contents.
_STAGES: Mapping[Dialect, tuple[Sequence[str], Sequence[str]]] = {
    Dialect.NIX: (
        ("reading the Nix store...", "checking path existence..."),
        ("checking link hashes...", "checking store hashes..."),
    ),
    Dialect.GUIX: (("reading the store...", "checking path existence..."), ("checking hashes...",)),
}
# What the peers' verification is about.
_PEERS = frozenset({FindingKind.DATABASE, FindingKind.LINK})


def verify_store(session: Session, request: VerifyStore) -> bool:
    """Check the store; problems are told as messages. Whether there are some, or still are.

    Raises:
        NotPermittedError: repairing is for trusted users.
    """
    _check_permitted(session, repair=request.repair)
    existence, hashes = _STAGES[session.context.dialect]
    for text in existence:
        say(session, text, more=text != existence[0])
    with session.long_work():
        missing = session.store.missing()
        forgotten = set(session.store.forget_missing(missing))
    for path in missing:
        rest = ", removing from database..." if path in forgotten else ", but it still has valid referrers!"
        _show(session, f"path '{path}' disappeared{rest}")
    for text in hashes if request.contents else ():
        say(session, text, more=True)
    with session.long_work():
        found = session.store.verify(contents=request.contents)
    found = [one for one in found if to_be_made_again(one) or one.kind in _PEERS]
    for finding in found:
        if finding.kind is not FindingKind.MISSING:
            _show(session, str(finding))
    return bool(_repair(session, found, contents=request.contents) if request.repair else found)


def check_store(session: Session, request: CheckStore) -> list[Finding]:
    """Tell what is found; with `repair`, what of it is left afterwards.

    Raises:
        NotPermittedError: repairing is for trusted users.
    """
    _check_permitted(session, repair=request.repair)
    with session.long_work():
        found = session.store.verify(contents=request.contents, strays=True)
    return _repair(session, found, contents=request.contents) if request.repair else found


def _check_permitted(session: Session, *, repair: bool) -> None:
    if repair and not session.trusted:
        raise NotPermittedError("you are not privileged to repair paths")


def _repair(session: Session, found: Sequence[Finding], *, contents: bool) -> list[Finding]:
    """Mend in place what can be, and make the rest again; returns what is still not as it should be."""
    store = session.store
    of_paths = [one for one in found if to_be_made_again(one) or one.kind is FindingKind.METADATA]
    others = [one for one in found if one not in of_paths and not _mended(session, one)]
    for one in of_paths:
        _mended(session, one)
    _make_again(
        session, list(dict.fromkeys(one.path(store.directory) for one in found if to_be_made_again(one)))
    )
    paths = dict.fromkeys(one.path(store.directory) for one in of_paths)
    with session.long_work():
        return store.inspect(paths, contents=contents) + others


def _mended(session: Session, finding: Finding) -> bool:
    """Whether a finding is one that is mended in place, and was."""
    if finding.kind not in {FindingKind.METADATA, FindingKind.LINK}:
        return False
    try:
        session.store.mend(finding)
    except (FruixError, OSError) as error:
        _show(session, f"{finding}; that can't be mended: {error}")
        return False
    return True


def _make_again(session: Session, paths: Sequence[StorePath]) -> None:
    requests = [DerivedPath(path, None) for path in paths]
    for _, result in session.realise(requests, BuildMode.REPAIR, keep_going=True) if requests else ():
        if not result.success:
            session.show(Message(0, result.message))


def _show(session: Session, text: str) -> None:
    """A problem, whatever the client's verbosity, with its dialect's quotes."""
    if session.context.dialect is Dialect.GUIX:
        text = guix_quotes(text)
    session.show(Message(0, text))


SHARED: Rows = (VerifyStore.answered_by(verify_store),)
NIX: Rows = (CheckStore.answered_by(check_store),)
