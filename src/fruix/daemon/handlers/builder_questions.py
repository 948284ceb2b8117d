"""What builders may ask about the store (recursive Nix), and how they are answered.

What they don't know of (`building.nested`) doesn't exist for them. What they are told of a path is
what follows from its contents: not who has made it when, or who signs it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from fruix.daemon.builder_session import BuilderSession
from fruix.daemon.handlers import query
from fruix.daemon.session import Rows, Session
from fruix.dataclass import replace
from fruix.errors import InvalidPathError
from fruix.model.buildresult import BuildMode
from fruix.model.hashes import Hash
from fruix.model.planned import Missing
from fruix.model.realisation import Realisation
from fruix.model.storepath import StorePath
from fruix.protocol import common_operations as common
from fruix.protocol import nix
from fruix.protocol.model_codecs import SubstitutableInfo, UnkeyedInfo
from fruix.store.tree.plain_dump import PlainDump


def session_of(session: Session) -> BuilderSession:
    """It is one of a builder's."""
    assert isinstance(session, BuilderSession)
    return session


def known(session: Session, path: StorePath) -> StorePath:
    """A path that the builder knows of.

    Raises:
        InvalidPathError: it doesn't, whether it is valid or not.
    """
    if path not in session_of(session).known:
        raise InvalidPathError(str(path))
    return path


# Questions


def is_valid_path(session: Session, request: common.IsValidPath) -> bool:
    """Answer for what it knows of."""
    return request.path in session_of(session).known and session.store.is_valid(request.path)


def query_valid_paths(session: Session, request: common.QueryValidPaths) -> Collection[StorePath]:
    """Answer for what it knows of; nothing is fetched."""
    return session.store.valid_paths(path for path in request.paths if path in session_of(session).known)


def query_all_valid_paths(session: Session, _request: common.QueryAllValidPaths) -> Collection[StorePath]:
    """Give what it knows of."""
    return session.store.valid_paths(session_of(session).known.all())


def query_path_info(session: Session, request: nix.QueryPathInfo) -> UnkeyedInfo | None:
    """Give what follows from the contents of a path."""
    if request.path not in session_of(session).known:
        return None
    info = session.store.path_info(request.path)
    if info is None:
        return None
    bare = replace(info, deriver=None, registration_time=0, ultimate=False, signatures=())
    return UnkeyedInfo.of(bare)


def query_path_hash(session: Session, request: common.QueryPathHash) -> Hash:
    """Give the hash of an archive."""
    return query.require(session, known(session, request.path)).nar_hash


def query_references(session: Session, request: common.QueryReferences) -> Collection[StorePath]:
    """Give references, all of which it knows."""
    return session.store.references(known(session, request.path))


def query_referrers(_session: Session, _request: common.QueryReferrers) -> Collection[StorePath]:
    """Give none: which there are says what else is in the store."""
    return ()


def query_deriver(session: Session, request: common.QueryDeriver) -> StorePath | None:
    """Give none: who has made a path is not part of it."""
    known(session, request.path)
    return None


def query_valid_derivers(_session: Session, _request: common.QueryValidDerivers) -> Collection[StorePath]:
    """Give none, as above."""
    return ()


def query_derivation_outputs(
    session: Session, request: common.QueryDerivationOutputs
) -> Collection[StorePath]:
    """Give the outputs that a derivation names, and those others that it knows."""
    return [path for path in _outputs(session, request.path).values() if path is not None]


def query_derivation_output_names(
    session: Session, request: common.QueryDerivationOutputNames
) -> Collection[str]:
    """Give their names."""
    return list(_outputs(session, request.path))


def query_derivation_output_map(
    session: Session, request: nix.QueryDerivationOutputMap
) -> Mapping[str, StorePath | None]:
    """Give both."""
    return _outputs(session, request.path)


def _outputs(session: Session, drv: StorePath) -> Mapping[str, StorePath | None]:
    named = session.store.read_derivation(known(session, drv)).outputs
    found = session.store.derivation_outputs(drv)
    may_know = session_of(session).known
    return {
        name: path if (path := found.get(name)) and (output.path is not None or path in may_know) else None
        for name, output in named.items()
    }


def query_path_from_hash_part(session: Session, request: common.QueryPathFromHashPart) -> StorePath | None:
    """Look among what it knows of."""
    return next(
        (path for path in session_of(session).known.all() if path.hash_part == request.hash_part), None
    )


def query_realisation(session: Session, request: nix.QueryRealisation) -> Collection[Realisation]:
    """Say where an output is that it has built."""
    if not session_of(session).known.may_ask_for(request.id):
        return []
    return query.query_realisation(session, request)


def nar_from_path(session: Session, request: nix.NarFromPath) -> PlainDump:
    """Stream an archive."""
    known(session, request.path)
    return query.nar_from_path(session, request)


def has_substitutes(_session: Session, _request: common.HasSubstitutes) -> bool:
    """Say no: what caches have is no affair of a build."""
    return False


def no_paths(_session: Session, _request: common.QuerySubstitutablePaths) -> Collection[StorePath]:
    """Give none, likewise."""
    return ()


def no_infos(_session: Session, _request: nix.QuerySubstitutablePathInfos) -> Collection[SubstitutableInfo]:
    """Give none, likewise."""
    return ()


def query_missing(session: Session, request: nix.QueryMissing) -> Missing:
    """Say what building would do, of what it may have built; of the rest nothing is known."""
    allowed = [wanted for wanted in request.requests if wanted.path in session_of(session).known]
    unknown = {wanted.path for wanted in request.requests} - {wanted.path for wanted in allowed}
    with session.long_work():
        found = session.service.builder.missing(allowed, session.build_options(BuildMode.NORMAL))
    return replace(found, unknown=frozenset({*found.unknown, *unknown}))


ROWS: Rows = (
    common.IsValidPath.answered_by(is_valid_path),
    common.HasSubstitutes.answered_by(has_substitutes),
    common.QueryPathHash.answered_by(query_path_hash),
    common.QueryReferences.answered_by(query_references),
    common.QueryReferrers.answered_by(query_referrers),
    common.QueryDeriver.answered_by(query_deriver),
    common.QueryDerivationOutputs.answered_by(query_derivation_outputs),
    common.QueryDerivationOutputNames.answered_by(query_derivation_output_names),
    common.QueryAllValidPaths.answered_by(query_all_valid_paths),
    common.QueryPathFromHashPart.answered_by(query_path_from_hash_part),
    common.QuerySubstitutablePaths.answered_by(no_paths),
    common.QueryValidPaths.answered_by(query_valid_paths),
    common.QueryValidDerivers.answered_by(query_valid_derivers),
    nix.QueryPathInfo.answered_by(query_path_info),
    nix.QuerySubstitutablePathInfos.answered_by(no_infos),
    nix.QueryMissing.answered_by(query_missing),
    nix.QueryDerivationOutputMap.answered_by(query_derivation_output_map),
    nix.QueryRealisation.answered_by(query_realisation),
    nix.NarFromPath.answered_by(nar_from_path),
)
