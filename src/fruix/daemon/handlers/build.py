"""Handlers of the operations that build."""

from __future__ import annotations

from collections.abc import Sequence

from fruix.daemon.error_messages import BuildsFailedError
from fruix.daemon.service import MissingLike
from fruix.daemon.session import Session
from fruix.errors import DisconnectedError, FruixError, NotPermittedError
from fruix.model.buildresult import BuildMode, BuildResult, BuildStatus
from fruix.model.derivedpath import DerivedPath
from fruix.model.events import Message
from fruix.model.storepath import StorePath
from fruix.protocol import messages
from fruix.protocol.wire import Dialect

# The Guix dialect's status of a failed request, by the worst of its results; anything else is 1.
_TIMED_OUT = frozenset({BuildStatus.TIMED_OUT, BuildStatus.LOG_LIMIT_EXCEEDED})
_PERMANENT = frozenset({BuildStatus.PERMANENT_FAILURE, BuildStatus.CACHED_FAILURE})

_REPAIR_REFUSED = {
    Dialect.NIX: "repairing is not allowed because you are not in 'trusted-users'",
    Dialect.GUIX: "repairing is a privileged operation",
}


def query_missing(session: Session, requests: tuple[DerivedPath, ...]) -> MissingLike:
    """40."""
    return session.service.builder.missing(requests)


def build_paths_with_results(
    session: Session, requests: tuple[DerivedPath, ...], mode: BuildMode
) -> list[tuple[DerivedPath, BuildResult]]:
    """46: failures are results."""
    _check_mode(session, mode)
    return session.realise(requests, mode)


def build_paths(session: Session, requests: tuple[DerivedPath, ...], mode: BuildMode) -> None:
    """9: a failure is an error of the request.

    Raises:
        BuildsFailedError: something could not be built.
    """
    _check_mode(session, mode)
    results = session.realise(requests, mode)
    if session.context.dialect is Dialect.GUIX:
        # There, asking for a path that nobody can provide is no error.
        results = [row for row in results if row[1].status is not BuildStatus.NO_SUBSTITUTERS]
    failed = [(request, result) for request, result in results if not result.success]
    if failed:
        raise _failure(session, failed)


def repair(session: Session, *, contents: bool) -> bool:
    """35 with repair: build again what is missing or (`contents`) damaged; whether everything is whole afterwards."""
    with session.long_work():
        requests = [DerivedPath(path, None) for path in session.store.damaged(contents=contents)]
    results = session.realise(requests, BuildMode.REPAIR, keep_going=True)
    failed = [result for _, result in results if not result.success]
    for result in failed:
        session.show(Message(0, result.message))
    return not failed


def ensure_path(session: Session, path: StorePath) -> None:
    """10: there is nothing to get it from, so it is valid or it is not. Files that were deleted by hand are made again.

    Raises:
        FruixError: it is not.
        BuildsFailedError: they can't be.
    """
    session.store.add_temp_root(path)
    if session.store.is_there(path):
        return
    if session.store.is_valid(path):
        build_paths(session, (DerivedPath(path, None),), BuildMode.NORMAL)
    else:
        quoted = f"`{path}'" if session.context.dialect is Dialect.GUIX else f"'{path}'"
        raise FruixError(f"path {quoted} does not exist and cannot be created")


def enter_sandbox(
    session: Session, path: StorePath, terminal: str, command: tuple[str, ...], fresh: bool
) -> int:
    """Ours: a shell in a derivation's sandbox; the client gets the outer end of its terminal. The reply is its exit status.

    Raises:
        NotPermittedError: for trusted users only: it holds a build user for as long as it likes.
    """
    from fruix.building.shell import Entering  # noqa: PLC0415 - the build half

    if not session.trusted:
        raise NotPermittedError(
            "entering sandboxes is for trusted users",
            hint="ask for your name in the daemon's setting 'trusted-users', or use an embedded daemon",
        )

    def on_open(descriptor: int, text: str) -> None:
        session.connection.send_descriptor(
            messages.encode(messages.Next(f"{text}\n"), session.context), descriptor
        )

    with session.service.hangups.watch(session.connection.stream) as gone:
        options = session.build_options(BuildMode.NORMAL)
        exited = session.service.builder.enter(
            Entering(path, terminal, command, fresh), options, on_open, gone
        )
        if gone.is_set():
            raise DisconnectedError("the client has gone")
    return 128 + exited.signal if exited.signal is not None else exited.code or 0


def _check_mode(session: Session, mode: BuildMode) -> None:
    if mode is BuildMode.REPAIR and not session.trusted:
        raise NotPermittedError(_REPAIR_REFUSED[session.context.dialect])


def _failure(session: Session, failed: Sequence[tuple[DerivedPath, BuildResult]]) -> BuildsFailedError:
    """One error for all; Nix clients are told the single reasons first if there are several."""
    status = _status([*session.failed, *(result.status for _, result in failed)])
    if session.context.dialect is Dialect.GUIX:
        names = ", ".join(f"`{request.path}'" for request, _ in failed)
        return BuildsFailedError(f"build of {names} failed", status)
    if len(failed) == 1:
        return BuildsFailedError(failed[0][1].message, status)
    for _, result in failed:
        session.tell(messages.Next(f"error: {result.message}\n"))
    names = ", ".join(f"'{request}'" for request, _ in failed)
    return BuildsFailedError(f"build of {names} failed", status)


def _status(statuses: Sequence[BuildStatus]) -> int:
    if _TIMED_OUT.intersection(statuses):
        return 101
    return 100 if _PERMANENT.intersection(statuses) else 1
