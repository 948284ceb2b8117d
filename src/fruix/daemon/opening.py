"""The real parts of a daemon, put together in the order that safety asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING

from fruix import building, sandbox
from fruix.building.crashed import left_something
from fruix.daemon import rootless
from fruix.daemon.build_half import BuildHalf
from fruix.daemon.keyring import Keyring
from fruix.daemon.service import Service
from fruix.daemon.settings import Settings
from fruix.dataclass import replace
from fruix.errors import StoreError
from fruix.log import Log
from fruix.store.deduplication.rules import BY_NAME, Rules
from fruix.store.layout import Layout
from fruix.store.leftovers import Swept

if TYPE_CHECKING:
    from fruix.building.builder import Builder
    from fruix.building.nested import Talk
    from fruix.building.settings import BuildSettings
    from fruix.sandbox.spawner.forking import Forked
    from fruix.store import LocalStore

log = Log(__name__)


def open_service(
    layout: Layout,
    settings: Settings,
    spawner: Forked,
    *,
    accept_store: bool = False,
    relock: Callable[[], None] = lambda: None,
) -> Service:
    """Open the store (which recovers it) and undo what a crashed daemon left behind.

    `relock` takes the lock of the state directory again, when that was removed and is there anew.

    Raises:
        FruixError: what keeps the daemon from running.
    """
    from fruix.store import Limits, LocalStore  # noqa: PLC0415 - only a real daemon wants it

    _refuse_exposed(layout)
    with ExitStack() as closing:
        build, keyring = settings.build, Keyring.open(settings)
        limits = Limits(build.min_free, build.min_free_files, settings.max_derivation_size)
        store = LocalStore(
            layout,
            durability=settings.durability,
            limits=limits,
            accept=accept_store,
            sign=keyring.signed,
            deduplication=_deduplication(settings),
        ).open()
        closing.callback(store.close)
        _log_leftovers(store.swept, _recovered(store), layout.store)
        sessions = _BuilderSessions()
        half = BuildHalf(lambda: _builder(store, spawner, build, keyring, sessions))
        closing.callback(half.close)
        if build.views or settings.build_uid_count is not None or settings.first_build_uid is not None:
            _ = half.builder  # which judges these
        service = sessions.service = Service(store, half, settings, keyring, relock=relock)
        _collect_by_itself(service, closing)
        service.closing = closing.pop_all()
    return service


def _builder(
    store: LocalStore, spawner: Forked, build: BuildSettings, keyring: Keyring, sessions: _BuilderSessions
) -> Builder:
    builder, here = building.Builder, sandbox.Spawner(spawner)
    from fruix.client.ssh import connect_machine  # noqa: PLC0415 - seldom needed

    return builder(store, here, build, keyring.on_substitutes(), connect_machine, sessions.serve)


def _recovered(store: LocalStore) -> list[str]:
    """What builds of a crashed daemon left, and was removed."""
    if not left_something(store.layout):
        return []
    from fruix.building.recovery import recover_builds  # noqa: PLC0415 - seldom needed

    return recover_builds(store)


class _BuilderSessions:
    """Serves builders that talk to the daemon, with what is loaded when the first one does."""

    service: Service

    def serve(self, talk: Talk) -> AbstractContextManager[None]:
        from fruix.daemon.nested import serve_builder  # noqa: PLC0415 - seldom needed

        return serve_builder(self.service, talk)


def _log_leftovers(swept: Swept, removed: Sequence[str], store: str) -> None:
    for line in (*(f"object {name}" for name in swept.removed), *removed):
        log.warning("left by a crash, removed: %s", line)
    for line in swept.notes(store):
        log.warning("%s", line)


def _deduplication(settings: Settings) -> Rules | None:
    rules = BY_NAME[settings.deduplication]
    return rules and replace(rules, clones=settings.deduplication_clones)


def _collect_by_itself(service: Service, closing: ExitStack) -> None:
    """Have garbage collected when the disk is nearly full, if the operator wants that."""
    settings = service.settings
    if settings.collect_below:
        from fruix.store.collection.automatic import AutomaticCollection  # noqa: PLC0415 - seldom wanted

        automatic = AutomaticCollection(
            service.store,
            settings.keep,
            below=settings.collect_below,
            until=settings.collect_until,
            using=service.users.using,
        )
        automatic.start()
        closing.callback(automatic.stop)


def _refuse_exposed(layout: Layout) -> None:
    """Refuse directories that anybody can write on the way to the store: what lies below could be swapped."""
    if exposed := layout.exposed_parents(sticky=not rootless.confined()):
        raise StoreError(
            f"'{exposed[0]}' can be written by everybody",
            where=layout.store,
            hint="choose directories all of whose parents only root can write"
            " (FRUIX_STORE_DIR, FRUIX_STATE_DIR)",
        )
