"""Handlers of the operations that build."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from fruix.daemon.error_messages import BuildsFailedError, EndingRefusalError
from fruix.daemon.handlers.deduplicate import deduplicating
from fruix.daemon.session import Rows, Session
from fruix.dataclass import replace
from fruix.errors import DisconnectedError, FruixError, NotPermittedError
from fruix.model import aterm
from fruix.model.buildresult import BuildMode, BuildResult, BuildStatus
from fruix.model.derivedpath import ALL, DerivedPath
from fruix.model.planned import Missing
from fruix.protocol import messages, nix
from fruix.protocol.advice import advised
from fruix.protocol.common_operations import BuildPaths, EnsurePath
from fruix.protocol.realise_activities import Expected
from fruix.protocol.records import Request
from fruix.protocol.wire import Dialect

# The Guix dialect's status of a failed request, by the worst of its results; anything else is 1.
_TIMED_OUT = frozenset({BuildStatus.TIMED_OUT, BuildStatus.LOG_LIMIT_EXCEEDED})
_PERMANENT = frozenset({BuildStatus.PERMANENT_FAILURE, BuildStatus.CACHED_FAILURE})

_REPAIR_REFUSED = {
    Dialect.NIX: "repairing is not allowed because you are not in 'trusted-users'",
    Dialect.GUIX: "repairing is a privileged operation",
}


def query_missing(session: Session, request: nix.QueryMissing) -> Missing:
    """Say what building would do; nothing is done or promised."""
    with session.long_work():
        options = session.build_options(BuildMode.NORMAL)
        found = session.service.builder.missing(request.requests, options)
    session.expected = Expected.of(found)
    return found


def build_paths_with_results(
    session: Session, request: nix.BuildPathsWithResults
) -> list[tuple[DerivedPath, BuildResult]]:
    """Build, and return one result for each request; one that failed is a result, not an error."""
    _check_mode(session, request.mode)
    results = session.realise(request.requests, request.mode)
    return [(wanted, with_outputs(session, wanted, result)) for wanted, result in results]


def with_outputs(session: Session, wanted: DerivedPath, result: BuildResult) -> BuildResult:
    """The result with the outputs that were asked for and are there, as clients print and link them."""
    if wanted.outputs is None or not result.success:
        return replace(result, outputs={})
    drv = result.drv or wanted.path
    derivation = session.store.read_derivation(drv)
    there = result.outputs if derivation.is_impure else session.store.derivation_outputs(drv)
    names = there if wanted.outputs == ALL else wanted.outputs
    outputs = {name: there[name] for name in names if name in there and session.store.is_valid(there[name])}
    identity = session.store.derivation_identity(derivation)
    return replace(result, outputs=outputs, drv_hash=identity)


def build_derivation(session: Session, request: nix.BuildDerivation) -> BuildResult:
    """Build what another machine sends: its own derivation, whose inputs are valid here, and which isn't.

    The name is a trusted client's word, and so are the outputs' paths, which can't be checked without
    the derivations of the inputs. One who isn't trusted gets a derivation with declared contents
    built, under the name that it has when it is added to this store: whoever else waits for the name
    that was sent must not be given the result.

    Raises:
        NotPermittedError: for trusted clients only.
    """
    _check_mode(session, request.mode)
    derivation, store = replace(request.derivation, name=request.drv.short_name), session.store
    drv, given = request.drv, {request.drv: derivation}
    if not session.trusted:
        if not (derivation.is_fixed or derivation.is_floating):
            raise NotPermittedError("you are not privileged to build input-addressed derivations")
        drv = store.add_text(request.drv.name, aterm.render(derivation), derivation.references)
        given = {}
    ((_, result),) = session.realise([DerivedPath(drv, ALL)], request.mode, given=given)
    if not result.success:
        return replace(result, outputs={})
    outputs = result.outputs if derivation.is_floating else derivation.output_paths
    return replace(result, outputs=outputs, drv_hash=store.derivation_identity(derivation))


def build_paths(session: Session, request: BuildPaths) -> None:
    """Build; a failure is an error of the request.

    Raises:
        BuildsFailedError: something could not be built.
    """
    _check_mode(session, request.mode)
    results = session.realise(request.requests, request.mode)
    if session.context.dialect is Dialect.GUIX:
        # There, asking for a path that nobody can provide is no error.
        results = [row for row in results if row[1].status is not BuildStatus.NO_SUBSTITUTERS]
    check_built(session, results)


def check_built(session: Session, results: Sequence[tuple[DerivedPath, BuildResult]]) -> None:
    """Make failures an error of the request.

    Raises:
        BuildsFailedError: something could not be built.
    """
    failed = [(wanted, result) for wanted, result in results if not result.success]
    if failed:
        raise _failure(session, failed)


def ensure_path(session: Session, request: EnsurePath) -> None:
    """Make sure of a path: it is valid, or a binary cache has it.

    Files that were deleted by hand are fetched or made again.

    Raises:
        FruixError: it is not.
        BuildsFailedError: they can't be.
    """
    path = request.path
    session.store.add_temp_root(path)
    if session.store.is_there(path):
        return
    ((wanted, result),) = session.realise([DerivedPath(path, None)], BuildMode.NORMAL)
    if result.status is BuildStatus.NO_SUBSTITUTERS:
        quoted = f"`{path}'" if session.context.dialect is Dialect.GUIX else f"'{path}'"
        raise FruixError(f"path {quoted} does not exist and cannot be created")
    if not result.success:
        raise _failure(session, [(wanted, result)])


def enter_sandbox(session: Session, request: nix.EnterSandbox) -> int:
    """Run a shell in a derivation's sandbox; the client gets the outer end of its terminal.

    Returns:
        Its exit status, 128 and more for signals.

    Raises:
        NotPermittedError: for trusted users only: it holds a build user for as long as it likes.
    """
    from fruix.building.sandbox_shell import ShellRequest  # noqa: PLC0415 - the build half

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
            ShellRequest(request.drv, request.terminal, request.command, request.fresh),
            options,
            on_open,
            gone,
        )
        if gone.is_set():
            raise DisconnectedError("the client has gone")
    return 128 + exited.signal if exited.signal is not None else exited.code or 0


def _check_mode(session: Session, mode: BuildMode) -> None:
    if mode is BuildMode.REPAIR and not session.trusted:
        raise EndingRefusalError(_REPAIR_REFUSED[session.context.dialect])


def _failure(session: Session, failed: Sequence[tuple[DerivedPath, BuildResult]]) -> BuildsFailedError:
    """One error for all; Nix clients are told the single reasons first if there are several."""
    statuses = session.failed.union(result.status for _, result in failed)
    status = _status(statuses)
    if session.context.dialect is Dialect.GUIX:
        names = ", ".join(dict.fromkeys(f"`{request.path}'" for request, _ in failed))
        if session.ending:
            return BuildsFailedError(session.ending, 1)
        return BuildsFailedError(f"build of {names} failed", status)
    older = session.context.minor < messages.RECORD_ERRORS_SINCE
    if len(failed) == 1 and not older:
        return BuildsFailedError(failed[0][1].message, status, failed[0][1].hint)
    for _, result in failed:
        message = advised(result.message, result.hint, session.context).replace("\n", "\n       ")
        session.tell(messages.Next(f"error: {message}\n"))
    names = ", ".join(f"'{path}'" for path in sorted({request.path for request, _ in failed}))
    return BuildsFailedError(
        f"build of {names} failed", _old_status(statuses, session.reasons) if older else status
    )


def _status(statuses: AbstractSet[BuildStatus]) -> int:
    if statuses & _TIMED_OUT:
        return 101
    return 100 if statuses & _PERMANENT else 1


def _old_status(statuses: AbstractSet[BuildStatus], reasons: Collection[str]) -> int:
    """That of old clients of Nix, which end with it: a bit for each kind of failure."""
    bits = 0
    if statuses & _PERMANENT:
        bits |= 4
    if statuses & _TIMED_OUT:
        bits |= 5
    if "hash-mismatch" in reasons:
        bits |= 6
    if BuildStatus.NOT_DETERMINISTIC in statuses:
        bits |= 8
    return 0x60 | bits if bits else 1


# Where nothing had to be done, the same request needs nothing the next time, until something is deleted.
SETTLING: frozenset[type[Request[Any]]] = frozenset({BuildPaths, nix.BuildPathsWithResults})
SHARED: Rows = (
    BuildPaths.answered_by(deduplicating(build_paths)),
    EnsurePath.answered_by(ensure_path),
)
NIX: Rows = (
    nix.QueryMissing.answered_by(query_missing),
    nix.BuildPathsWithResults.answered_by(deduplicating(build_paths_with_results)),
    nix.BuildDerivation.answered_by(deduplicating(build_derivation)),
    nix.EnterSandbox.answered_by(enter_sandbox),
)
