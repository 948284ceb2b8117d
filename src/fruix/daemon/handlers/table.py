"""What the daemon does for each operation: functions by number, the same for both dialects where they ask the same.

A handler gets its session and the request's values in the order of the table's row, and returns the reply's: nothing, one
value, or a tuple. What it can't do it raises. Operations without a handler are answered as not implemented.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fruix.daemon import options
from fruix.daemon.handlers import add, build
from fruix.daemon.session import Handler, Session
from fruix.errors import InvalidPathError, NotPermittedError
from fruix.model.activity import ActiveBuild
from fruix.model.buildresult import BuildMode
from fruix.model.derivedpath import DerivedPath
from fruix.model.events import Message
from fruix.model.hashes import Hash
from fruix.model.hostview import HostView, Sighting
from fruix.model.pathinfo import PathInfo
from fruix.model.planned import BuildPlan
from fruix.model.storepath import StorePath
from fruix.protocol.options import ClientOptions
from fruix.protocol.wire import Dialect


def _require(session: Session, path: StorePath) -> PathInfo:
    info = session.store.path_info(path)
    if info is None:
        raise InvalidPathError(str(path))
    return info


def is_valid_path(session: Session, path: StorePath) -> bool:
    """1."""
    return session.store.is_valid(path)


def query_path_hash(session: Session, path: StorePath) -> Hash:
    """4."""
    return _require(session, path).nar_hash


def query_references(session: Session, path: StorePath) -> list[StorePath]:
    """5."""
    return session.store.references(path)


def query_referrers(session: Session, path: StorePath) -> list[StorePath]:
    """6."""
    return session.store.referrers(path)


def add_temp_root(session: Session, path: StorePath) -> None:
    """11."""
    session.store.add_temp_root(path)


def add_indirect_root(session: Session, link: str) -> None:
    """12."""
    session.store.add_indirect_root(link)


def query_deriver(session: Session, path: StorePath) -> StorePath | None:
    """18."""
    return _require(session, path).deriver


def set_options(session: Session, chosen: ClientOptions) -> None:
    """19. Warnings go to Nix clients only: the other dialect's read one message here and no more."""
    options.check(chosen)
    session.options = options.kept(chosen)
    if session.context.dialect is Dialect.NIX:
        for warning in options.warnings(chosen, trusted=session.trusted):
            session.show(warning)
        session.warn_of_limits()


def query_derivation_outputs(session: Session, path: StorePath) -> list[StorePath]:
    """22."""
    return list(session.store.derivation_outputs(path).values())


def query_all_valid_paths(session: Session) -> list[StorePath]:
    """23."""
    return session.store.all_valid_paths()


def query_path_info(session: Session, path: StorePath) -> PathInfo | None:
    """26, Nix. Written field by field, so the whole info does."""
    return session.store.path_info(path)


def query_path_info_guix(session: Session, path: StorePath) -> PathInfo:
    """26, Guix: an invalid path is an error."""
    return _require(session, path)


def query_derivation_output_names(session: Session, path: StorePath) -> list[str]:
    """28."""
    return list(session.store.derivation_outputs(path))


def query_path_from_hash_part(session: Session, hash_part: str) -> StorePath | None:
    """29."""
    return session.store.from_hash_part(hash_part)


def query_valid_paths(
    session: Session, paths: tuple[StorePath, ...], _substitute: bool = False
) -> set[StorePath]:
    """31. There is nothing to substitute from."""
    return session.store.valid_paths(paths)


def query_valid_derivers(session: Session, path: StorePath) -> list[StorePath]:
    """33."""
    return session.store.valid_derivers(path)


def verify_store(session: Session, contents: bool, repair: bool) -> bool:
    """35. Problems are told as messages.

    Raises:
        NotPermittedError: repairing is for trusted users.
    """
    if repair and not session.trusted:
        raise NotPermittedError("you are not privileged to repair paths")
    with session.long_work():
        problems = session.store.verify(contents=contents and not repair)
    for problem in problems:
        session.show(Message(0, problem))
    return not build.repair(session, contents=contents) if repair else bool(problems)


def query_failed_paths(session: Session) -> list[StorePath]:
    """24."""
    return session.store.failures.all()


def clear_failed_paths(session: Session, names: list[str]) -> None:
    """25. Clients send `*` for all of them.

    Raises:
        BadStorePathError: no path of this store.
    """
    everything = "*" in names
    paths = [StorePath.parse(name, session.store.directory) for name in names if name != "*"]
    session.store.failures.clear(None if everything else paths)


def nar_from_path(session: Session, path: StorePath) -> Iterator[bytes]:
    """38. Checked before the reply begins, since afterwards nothing can be reported."""
    _require(session, path)
    return session.store.nar(path)


def query_derivation_output_map(session: Session, path: StorePath) -> Mapping[str, StorePath]:
    """41."""
    return session.store.derivation_outputs(path)


def query_host_view(session: Session, name: str) -> HostView:
    """Ours: as it is now, or as it was when it had that fingerprint."""
    return session.service.builder.host_view(name)


def query_host_views(session: Session) -> Mapping[str, Sequence[Sighting]]:
    """Ours: those that are offered, with the fingerprints that they had."""
    return session.service.builder.host_views()


def query_active_builds(session: Session) -> list[ActiveBuild]:
    """Ours: the builds of all clients, for anybody who may connect."""
    return session.service.active_builds()


def query_plan(session: Session, requests: tuple[DerivedPath, ...], mode: BuildMode) -> BuildPlan:
    """Ours: `query_missing` with reasons and durations."""
    return session.service.builder.planned(requests, mode)


def nothing(_session: Session, *_values: Any) -> tuple[()]:
    """For what needs no work: no substituters, roots synchronised at once."""
    return ()


def no(_session: Session, *_values: Any) -> bool:
    """For questions about substitutes."""
    return False


_SHARED: Mapping[int, Handler] = {
    1: is_valid_path,
    3: no,
    4: query_path_hash,
    5: query_references,
    6: query_referrers,
    8: add.add_text_to_store,
    9: build.build_paths,
    10: build.ensure_path,
    11: add_temp_root,
    12: add_indirect_root,
    13: nothing,
    18: query_deriver,
    19: set_options,
    21: lambda *_: None,
    22: query_derivation_outputs,
    23: query_all_valid_paths,
    24: query_failed_paths,
    25: clear_failed_paths,
    28: query_derivation_output_names,
    29: query_path_from_hash_part,
    30: nothing,
    31: query_valid_paths,
    32: nothing,
    33: query_valid_derivers,
    35: verify_store,
}

HANDLERS: Mapping[Dialect, Mapping[int, Handler]] = {
    Dialect.NIX: {
        **_SHARED,
        7: add.add_to_store,
        26: query_path_info,
        38: nar_from_path,
        39: add.add_to_store_nar,
        40: build.query_missing,
        41: query_derivation_output_map,
        43: nothing,
        44: add.add_multiple_to_store,
        46: build.build_paths_with_results,
        0x46520001: query_host_view,
        0x46520002: query_active_builds,
        0x46520003: query_plan,
        0x46520004: build.enter_sandbox,
        0x46520005: query_host_views,
    },
    Dialect.GUIX: {
        **_SHARED,
        7: add.add_to_store_guix,
        26: query_path_info_guix,
        80: lambda *_: ["download"],
        81: nothing,
    },
}
