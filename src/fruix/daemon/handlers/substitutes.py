"""Handlers of the questions what binary caches have; fetching is building's affair (`handlers.build`).

Caches are asked on behalf of the client: those that it may name, else the operator's. What keeps
one from answering is told as a warning.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from fruix.daemon.session import Rows, Session
from fruix.model.buildresult import BuildMode
from fruix.model.derivedpath import DerivedPath
from fruix.model.events import Message
from fruix.model.storepath import StorePath
from fruix.protocol import common_operations as common
from fruix.protocol import guix, nix
from fruix.protocol.activities import Level
from fruix.protocol.model_codecs import SubstitutableInfo
from fruix.substitutes.substituter import Offer


def _offers(session: Session, paths: Iterable[StorePath]) -> Mapping[StorePath, Offer]:
    with session.long_work():
        options = session.build_options(BuildMode.NORMAL)
        found = session.service.builder.substitutable(frozenset(paths), options)
    for note in found.notes:
        session.show(Message(Level.WARN, note))
    return found.offers


def _info(offer: Offer, *, named: bool) -> SubstitutableInfo:
    info = offer.info
    path = info.path if named else None
    return SubstitutableInfo(info.deriver, info.references, offer.size, info.nar_size, path)


def has_substitutes(session: Session, request: common.HasSubstitutes) -> bool:
    """Say whether a cache has a path."""
    return bool(_offers(session, [request.path]))


def query_substitutable_path_info(
    session: Session, request: common.QuerySubstitutablePathInfo
) -> SubstitutableInfo | None:
    """Tell what a cache says of a path."""
    offer = _offers(session, [request.path]).get(request.path)
    return None if offer is None else _info(offer, named=False)


def query_substitutable_path_infos(
    session: Session, request: guix.QuerySubstitutablePathInfos | nix.QuerySubstitutablePathInfos
) -> Collection[SubstitutableInfo]:
    """Tell what caches say of paths: one question for a whole plan."""
    return [_info(offer, named=True) for offer in _offers(session, request.paths).values()]


def query_substitutable_paths(
    session: Session, request: common.QuerySubstitutablePaths
) -> Collection[StorePath]:
    """Tell which of some paths caches have."""
    return list(_offers(session, request.paths))


def query_valid_paths(session: Session, request: common.QueryValidPaths) -> set[StorePath]:
    """Tell which of some paths are valid, after those that caches have were fetched, if that is wished."""
    valid = session.store.valid_paths(request.paths)
    absent = [DerivedPath(path, None) for path in sorted(set(request.paths) - valid)]
    if not request.substitute or not absent:
        return valid
    session.realise(absent, BuildMode.NORMAL, keep_going=True)
    return session.store.valid_paths(request.paths)


def substitute_urls(session: Session, _request: guix.SubstituteURLs) -> Collection[str]:
    """Tell whom this client's requests ask, the helper's servers among them."""
    wishes, settings = session.build_options(BuildMode.NORMAL).substitutes, session.service.settings.build
    if wishes.caches is not None:
        return wishes.caches
    helped = settings.substitute_helper.options if settings.substitute_helper else {}
    return list(dict.fromkeys((*settings.substituters, *helped.get("substitute-urls", "").split())))


SHARED: Rows = (
    common.HasSubstitutes.answered_by(has_substitutes),
    common.QuerySubstitutablePathInfo.answered_by(query_substitutable_path_info),
    common.QuerySubstitutablePaths.answered_by(query_substitutable_paths),
    common.QueryValidPaths.answered_by(query_valid_paths),
)
_MANY = guix.QuerySubstitutablePathInfos.answered_by(query_substitutable_path_infos)
NIX: Rows = (_MANY, nix.QuerySubstitutablePathInfos.answered_by(query_substitutable_path_infos))
GUIX: Rows = (
    _MANY,
    guix.SubstituteURLs.answered_by(substitute_urls),
)
