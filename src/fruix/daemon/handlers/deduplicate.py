"""Deduplication: the operation that does it for the whole store, and what follows on other operations.

What a trusted client registers under `auto-optimise-store` is deduplicated before the answer, as in
Nix; clients of Guix, whose daemon always does so, wait for what the setting `deduplication` makes the
daemon do. All others get their answer before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from fruix.daemon.client_options import wants_deduplication
from fruix.daemon.handlers.collect import guix_size, say
from fruix.daemon.session import Rows, Session
from fruix.dataclass import replace
from fruix.model.events import Message
from fruix.model.storepath import StorePath
from fruix.protocol import messages
from fruix.protocol.activities import ActivityType, Level, ResultType
from fruix.protocol.common_operations import OptimiseStore
from fruix.protocol.wire import FEATURE, Dialect
from fruix.store.deduplication.rules import ALL, LARGE, Rules

T = TypeVar("T")
R = TypeVar("R")

_ACTIVITY = 1  # no other goes on in this session


def optimise_store(session: Session, _request: OptimiseStore) -> None:
    """Deduplicate all valid paths, and tell what that saved; of Guix's clients only large files, as there."""
    is_guix = session.context.dialect is Dialect.GUIX
    is_nix = not is_guix and FEATURE not in session.context.features
    rules = _rules(session, LARGE if is_guix else ALL)
    on_path = _activity(session) if is_nix else None
    with session.long_work():
        saved = session.store.optimise(rules, on_path=on_path)
    if is_nix:
        session.tell(messages.StopActivity(_ACTIVITY))
    if is_guix:
        say(session, f"{guix_size(saved.freed)} freed by hard-linking {saved.files} files")
    else:
        session.show(Message(Level.INFO, saved.told("hard-linking" if is_nix else "sharing the data of")))


def _rules(session: Session, rules: Rules) -> Rules:
    return replace(rules, clones=session.service.settings.deduplication_clones)


def _activity(session: Session) -> Callable[[StorePath, int], None]:
    """Begin an activity of Nix; returns what tells of its progress."""
    total = session.store.count()
    session.tell(messages.StartActivity(_ACTIVITY, Level.INFO, ActivityType.OPTIMISE_STORE, "", (), 0))

    def on_path(_path: StorePath, done: int) -> None:
        session.tell(messages.Result(_ACTIVITY, ResultType.PROGRESS, (done, max(total, done), 0, 0)))

    return on_path


def deduplicating(handler: Callable[[Session, T], R]) -> Callable[[Session, T], R]:
    """The same handler of an operation that may register paths.

    It deduplicates what it registered where the client is to see that.
    """

    def handle(session: Session, request: T) -> R:
        wanted = is_wanted(session)
        before = session.store.last_row() if wanted else 0
        result = handler(session, request)
        if wanted and session.store.last_row() > before:
            with session.long_work():
                session.store.optimise(_rules(session, ALL), after=before)
        else:
            follow(session)
        return result

    return handle


def is_wanted(session: Session) -> bool:
    """Whether the client has what it registers deduplicated before the answer."""
    return session.trusted and wants_deduplication(session.options)


def follow(session: Session) -> None:
    """Wait for the daemon's own deduplication, where the client is to see what it has done."""
    if session.context.dialect is Dialect.GUIX and session.store.is_deduplicating():
        with session.long_work():
            session.store.wait_for_deduplication()


SHARED: Rows = (OptimiseStore.answered_by(optimise_store),)
