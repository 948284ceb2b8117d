"""What builders may ask (recursive Nix), and how they are answered.

The rows at the end are all that there is for them: whatever isn't there is refused, also what will
be added to the protocol. What they don't know of (`building.nested`) doesn't exist for them: not
as a valid path, not as a reference of what they add, not as something to be built.

Adding gives knowledge of a path, so what is added has to come with all of its contents, also where
the store has it already: by its own address, from bytes that are hashed here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fruix.daemon.handlers import add, build
from fruix.daemon.handlers.builder_questions import ROWS, known, session_of
from fruix.daemon.session import Handler, Rows, Session
from fruix.dataclass import replace
from fruix.errors import InvalidPathError, NotPermittedError, ProtocolError
from fruix.model.buildresult import BuildMode, BuildResult
from fruix.model.contentaddress import Method
from fruix.model.derivedpath import DerivedPath
from fruix.model.garbage import Root
from fruix.model.pathinfo import PathInfo
from fruix.model.realisation import realisation_id
from fruix.model.storepath import StorePath
from fruix.protocol import common_operations as common
from fruix.protocol import nix
from fruix.protocol.reader import Source
from fruix.protocol.records import Request
from fruix.protocol.streams import read_objects
from fruix.protocol.wire import Dialect

REFUSAL = "a builder may not ask for that: it can add, build and look at what it knows of the store"


# What changes nothing for a builder: what it knows stays for as long as it runs


def set_options(session: Session, request: common.SetOptions) -> None:
    """Take over how much it wants to hear, and nothing else."""
    session.options = replace(session.options, verbosity=request.options.verbosity)


def add_temp_root(_session: Session, _request: common.AddTempRoot) -> None:
    """Do nothing."""


def add_indirect_root(_session: Session, _request: common.AddIndirectRoot) -> None:
    """Do nothing: links in a build directory keep nothing, and clients make them as a matter of course."""


def sync_with_gc(_session: Session, _request: common.SyncWithGC) -> None:
    """Do nothing."""


def find_roots(_session: Session, _request: common.FindRoots) -> tuple[Root, ...]:
    """Give none."""
    return ()


# Adding


def add_text_to_store(session: Session, request: common.AddTextToStore) -> StorePath:
    """Add a text whose references it knows."""
    _check_references(session, request.references)
    path = add.add_text_to_store(session, request)
    session_of(session).known.add([path])
    return path


def add_to_store(session: Session, request: nix.AddToStore) -> PathInfo:
    """Add contents whose references it knows."""
    _check_references(session, request.references)
    info = add.add_to_store(session, request)
    with session.long_work():
        session_of(session).known.add([info.path])
    return info


def add_to_store_nar(session: Session, request: nix.AddToStoreNar) -> None:
    """Add an archive with its own address."""
    _receive(session, request.info, session.body.chunks())


def add_multiple_to_store(session: Session, _request: nix.AddMultipleToStore) -> None:
    """Add several, references first."""
    if not isinstance(session.body, Source):
        raise ProtocolError("no stream of objects")
    for info, body in read_objects(session.body, session.context):
        _receive(session, info, body.chunks())


def _receive(session: Session, info: PathInfo, chunks: Iterable[bytes]) -> None:
    """Add it by its contents, so that it has to be whole, and see that the path is the one that is named.

    Raises:
        NotPermittedError: it isn't, or has no address of its own.
    """
    address = info.content_address
    others = [path for path in info.references if path != info.path]
    if address is None or address.method is not Method.NAR or len(others) < len(info.references):
        raise NotPermittedError(
            f"a builder can't add '{info.path}': only what has the hash of its archive as its address",
            hint="'nix store make-content-addressed' gives it one",
        )
    _check_references(session, others)
    added = session.store.add_dump(info.path.name, Method.NAR, address.hash.algorithm, chunks, others)
    if added.path != info.path:
        raise NotPermittedError(f"what was sent is '{added.path}', not '{info.path}'")
    with session.long_work():
        session_of(session).known.add([added.path])


def _check_references(session: Session, references: Iterable[StorePath]) -> None:
    for path in references:
        known(session, path)


# Building


def build_paths_with_results(
    session: Session, request: nix.BuildPathsWithResults
) -> list[tuple[DerivedPath, BuildResult]]:
    """Build what it knows of; from then on it knows the outputs."""
    return _build(session, request.requests, request.mode)


def build_paths(session: Session, request: common.BuildPaths) -> None:
    """Build; a failure is an error of the request."""
    build.check_built(session, _build(session, request.requests, request.mode))


def ensure_path(session: Session, request: common.EnsurePath) -> None:
    """See that it knows a path."""
    known(session, request.path)


def _build(
    session: Session, requests: Sequence[DerivedPath], mode: BuildMode
) -> list[tuple[DerivedPath, BuildResult]]:
    if mode is not BuildMode.NORMAL:
        raise NotPermittedError("a builder can have things built, but neither checked nor repaired")
    for wanted in requests:
        if wanted.path not in session_of(session).known:
            raise InvalidPathError(str(wanted.path))
    results = session.realise(requests, mode)
    told = [(wanted, build.with_outputs(session, wanted, result)) for wanted, result in results]
    may_know = session_of(session).known
    with session.long_work():
        for _, result in told:
            may_know.add(result.outputs.values())
            may_know.realised([realisation_id(result.drv_hash, name) for name in result.outputs])
    return told


_ROWS: Rows = (
    *ROWS,
    common.AddTextToStore.answered_by(add_text_to_store),
    common.AddTempRoot.answered_by(add_temp_root),
    common.AddIndirectRoot.answered_by(add_indirect_root),
    common.SyncWithGC.answered_by(sync_with_gc),
    common.FindRoots.answered_by(find_roots),
    common.SetOptions.answered_by(set_options),
    common.BuildPaths.answered_by(build_paths),
    common.EnsurePath.answered_by(ensure_path),
    nix.AddToStore.answered_by(add_to_store),
    nix.AddToStoreNar.answered_by(add_to_store_nar),
    nix.AddMultipleToStore.answered_by(add_multiple_to_store),
    nix.BuildPathsWithResults.answered_by(build_paths_with_results),
)
HANDLERS: Mapping[Dialect, Mapping[type[Request[Any]], Handler]] = {Dialect.NIX: dict(_ROWS)}
ONLY = frozenset(dict(_ROWS))
