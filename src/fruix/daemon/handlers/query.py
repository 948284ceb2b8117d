"""Handlers of questions, temporary roots, options and upkeep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fruix.daemon import client_options, client_trust
from fruix.daemon.session import Rows, Session
from fruix.errors import InvalidPathError, NotPermittedError
from fruix.model.activity import ActiveBuild
from fruix.model.hashes import Hash
from fruix.model.hostview import HostView, Sighting
from fruix.model.pathinfo import PathInfo
from fruix.model.planned import BuildPlan
from fruix.model.realisation import Realisation
from fruix.model.storepath import StorePath
from fruix.model.view_scheme import view_as_scheme
from fruix.protocol import common_operations as common
from fruix.protocol import guix, nix
from fruix.protocol.model_codecs import UnkeyedInfo
from fruix.protocol.records import Request
from fruix.protocol.wire import Dialect
from fruix.store.tree.plain_dump import PlainDump
from fruix.this_machine import local_system


def require(session: Session, path: StorePath) -> PathInfo:
    """What is known of a path; an invalid one is an error."""
    info = session.store.path_info(path)
    if info is None:
        raise InvalidPathError(str(path))
    return info


def is_valid_path(session: Session, request: common.IsValidPath) -> bool:
    """Answer from the database, also for a path that somebody has deleted by hand."""
    return session.store.is_valid(request.path)


def query_path_hash(session: Session, request: common.QueryPathHash) -> Hash:
    """Give the hash of the archive; an invalid path is an error."""
    return require(session, request.path).nar_hash


def query_references(session: Session, request: common.QueryReferences) -> list[StorePath]:
    """Give the references in the order of their texts; an invalid path is an error."""
    return session.store.references(request.path)


def query_referrers(session: Session, request: common.QueryReferrers) -> list[StorePath]:
    """Give the valid paths that refer to a path, valid or not."""
    return session.store.referrers(request.path)


def add_temp_root(session: Session, request: common.AddTempRoot) -> None:
    """Keep a path, valid or not, until the session ends."""
    session.store.add_temp_root(request.path)


def query_deriver(session: Session, request: common.QueryDeriver) -> StorePath | None:
    """Give the deriver, whether it is still valid or not; an invalid path is an error."""
    return require(session, request.path).deriver


def set_options(session: Session, request: common.SetOptions) -> None:
    """Keep what the client has set.

    Warnings go to Nix clients only: those of the Guix dialect read one message here and no more. What
    these have named once holds until it is named again.
    """
    client_options.check(request.options)
    former = session.options.overrides if session.context.dialect is Dialect.GUIX else {}
    session.options = client_options.kept(request.options, former)
    if session.trusted:
        session.path_trust()  # raises what is wrong with it now
        session.secret_keys = client_trust.secret_keys(session.options)
    if session.context.dialect is Dialect.NIX:
        for warning in client_options.warnings(request.options, trusted=session.trusted):
            session.show(warning)
        session.warn_of_limits()


def query_derivation_outputs(session: Session, request: common.QueryDerivationOutputs) -> list[StorePath]:
    """Give the output paths of a valid derivation, built or not."""
    return list(session.store.derivation_outputs(request.path).values())


def query_all_valid_paths(session: Session, _request: common.QueryAllValidPaths) -> list[StorePath]:
    """Give all valid paths: a request whose reply grows with the store."""
    return session.store.all_valid_paths()


def query_path_info(session: Session, request: nix.QueryPathInfo) -> UnkeyedInfo | None:
    """Give what is known of a path; nothing for an invalid one."""
    info = session.store.path_info(request.path)
    return None if info is None else UnkeyedInfo.of(info)


def query_path_info_guix(session: Session, request: guix.QueryPathInfo) -> UnkeyedInfo:
    """Give what is known of a path; in the Guix dialect an invalid one is an error."""
    return UnkeyedInfo.of(require(session, request.path))


def query_derivation_output_names(session: Session, request: common.QueryDerivationOutputNames) -> list[str]:
    """Give the output names of a valid derivation."""
    return list(session.store.derivation_outputs(request.path))


def query_path_from_hash_part(session: Session, request: common.QueryPathFromHashPart) -> StorePath | None:
    """Give the valid path with that hash part, if there is one."""
    return session.store.from_hash_part(request.hash_part)


def query_valid_derivers(session: Session, request: common.QueryValidDerivers) -> list[StorePath]:
    """Give the valid derivations that have the path as an output."""
    return session.store.valid_derivers(request.path)


def query_failed_paths(session: Session, _request: common.QueryFailedPaths) -> list[StorePath]:
    """Give the outputs of builds that are remembered to have failed for good."""
    return session.store.failures.all()


def clear_failed_paths(session: Session, request: common.ClearFailedPaths) -> None:
    """Forget failures; clients send `*` for all of them. What is no failed path means nothing."""
    session.store.failures.clear(None if "*" in request.paths else request.paths)


def nar_from_path(session: Session, request: nix.NarFromPath) -> PlainDump:
    """Stream an archive. The path is checked first: once the reply has begun, nothing can be reported.

    It is a temporary root, so that it stays while it is read.
    """
    session.store.add_temp_root(request.path)
    require(session, request.path)
    return session.store.archive(request.path)


def query_derivation_output_map(
    session: Session, request: nix.QueryDerivationOutputMap
) -> Mapping[str, StorePath | None]:
    """Give the outputs of a valid derivation by name, built or not; some are only known when they are."""
    outputs = session.store.derivation_outputs(request.path)
    if not request.path.is_derivation:
        return outputs
    return {**dict.fromkeys(session.store.read_derivation(request.path).outputs), **outputs}


def query_realisation(session: Session, request: nix.QueryRealisation) -> list[Realisation]:
    """Say where an output is that its derivation doesn't name, if that is known."""
    found = session.store.database.realisation(request.id)
    return [] if found is None else [found]


def register_output(session: Session, request: nix.RegisterDrvOutput) -> None:
    """Note where an output is: the word of a trusted client, for others build what they ask for.

    Raises:
        NotPermittedError: from somebody who isn't trusted.
        InvalidPathError: it is not valid.
    """
    if not session.trusted:
        lacking = "because it lacks a signature by a trusted key"
        raise NotPermittedError(f"cannot register realisation '{request.realisation.id}' {lacking}")
    session.store.database.realise([request.realisation])


def query_host_view(session: Session, request: nix.QueryHostView) -> HostView:
    """Show a host view as it is now, or as it was when it had that fingerprint."""
    return session.service.builder.host_view(request.name)


def describe_host_view(session: Session, request: common.DescribeHostView) -> str:
    """Describe a host view in Scheme data."""
    view = session.service.builder.host_view(request.name)
    return view_as_scheme(view, local_system(), session.store.directory)


def query_host_views(session: Session, _request: nix.QueryHostViews) -> Mapping[str, Sequence[Sighting]]:
    """Show the views that are offered, with the fingerprints that they had."""
    return session.service.builder.host_views()


def query_active_builds(session: Session, _request: nix.QueryActiveBuilds) -> list[ActiveBuild]:
    """Show the builds of all clients to anybody who may connect."""
    return session.service.active_builds()


def query_plan(session: Session, request: nix.QueryPlan) -> BuildPlan:
    """Do what `query_missing` does, with reasons and durations."""
    with session.long_work():
        return session.service.builder.planned(request.requests, session.build_options(request.mode))


def builtin_builders(_session: Session, _request: guix.BuiltinBuilders) -> list[str]:
    """Name those that derivations of Guix's clients may use."""
    return ["download", "git-download"]


SHARED: Rows = (
    common.IsValidPath.answered_by(is_valid_path),
    common.QueryPathHash.answered_by(query_path_hash),
    common.QueryReferences.answered_by(query_references),
    common.QueryReferrers.answered_by(query_referrers),
    common.AddTempRoot.answered_by(add_temp_root),
    common.QueryDeriver.answered_by(query_deriver),
    common.SetOptions.answered_by(set_options),
    common.QueryDerivationOutputs.answered_by(query_derivation_outputs),
    common.QueryAllValidPaths.answered_by(query_all_valid_paths),
    common.QueryFailedPaths.answered_by(query_failed_paths),
    common.ClearFailedPaths.answered_by(clear_failed_paths),
    common.QueryDerivationOutputNames.answered_by(query_derivation_output_names),
    common.QueryPathFromHashPart.answered_by(query_path_from_hash_part),
    common.QueryValidDerivers.answered_by(query_valid_derivers),
    common.DescribeHostView.answered_by(describe_host_view),
)
NIX: Rows = (
    nix.QueryPathInfo.answered_by(query_path_info),
    nix.NarFromPath.answered_by(nar_from_path),
    nix.QueryDerivationOutputMap.answered_by(query_derivation_output_map),
    nix.QueryRealisation.answered_by(query_realisation),
    nix.RegisterDrvOutput.answered_by(register_output),
    nix.QueryHostView.answered_by(query_host_view),
    nix.QueryHostViews.answered_by(query_host_views),
    nix.QueryActiveBuilds.answered_by(query_active_builds),
    nix.QueryPlan.answered_by(query_plan),
)
# Answered from the database alone: the answer is the same until that changes.
LASTING: frozenset[type[Request[Any]]] = frozenset(
    {
        common.IsValidPath,
        common.QueryPathHash,
        common.QueryReferences,
        common.QueryReferrers,
        common.QueryDeriver,
        common.QueryDerivationOutputs,
        common.QueryDerivationOutputNames,
        common.QueryPathFromHashPart,
        common.QueryValidDerivers,
        nix.QueryPathInfo,
        nix.QueryDerivationOutputMap,
        guix.QueryPathInfo,
    }
)
GUIX: Rows = (
    guix.QueryPathInfo.answered_by(query_path_info_guix),
    guix.BuiltinBuilders.answered_by(builtin_builders),
)
