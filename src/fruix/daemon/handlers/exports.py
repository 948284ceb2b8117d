"""Handlers of exports and imports, and of what copying between stores asks.

An export goes out as it is read from the disk, an import is on the disk before it is known what it
is; nothing is held. Whose word is taken on an imported item: a signature by a key of the access
control list, or that of a trusted user who asks for no check. Clients of Guix can't ask for that.
"""

from __future__ import annotations

from functools import partial

from fruix.daemon.handlers.collect import say
from fruix.daemon.handlers.deduplicate import deduplicating
from fruix.daemon.handlers.query import require
from fruix.daemon.session import Rows, Session
from fruix.dataclass import replace
from fruix.errors import NotPermittedError, ProtocolError
from fruix.model.nar import export
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath
from fruix.protocol.common_operations import ExportPath, ImportPaths
from fruix.protocol.exports import ExportItem, read_exports
from fruix.protocol.own_operations import QueryClosure, QueryRequisites
from fruix.protocol.reader import Source
from fruix.protocol.wire import Dialect
from fruix.store.objects.exported import item
from fruix.store.tree.hashing import StreamHash


def export_path(session: Session, request: ExportPath) -> None:
    """Send an item within messages.

    Raises:
        StoreError: what is on the disk isn't what was registered.
    """
    session.store.add_temp_root(request.path)  # so that it stays while it is read
    info = require(session, request.path)
    sign = session.service.keyring.sign_export if request.sign else None
    if session.context.dialect is Dialect.GUIX:
        say(session, f"exporting path `{request.path}'", more=True)
    with session.long_work():
        for chunk in item(info, session.store.nar(request.path), sign):
            session.give(chunk)


def import_paths(session: Session, request: ImportPaths) -> list[StorePath]:
    """Add a stream's items one after the other; those before one that is refused stay."""
    if not isinstance(session.body, Source):
        raise ProtocolError("no stream of objects")
    checked = not (request.unchecked and session.trusted)
    if request.unchecked and checked:
        raise NotPermittedError(
            "importing without looking at signatures is for trusted users",
            hint="the setting 'trusted-users' says who they are",
        )
    found: list[StorePath] = []
    for each in read_exports(session.body, session.store.directory):
        describe = partial(_describe, session, each, checked=checked)
        found.append(session.store.add_described(each.archive(), describe).path)
    return found


def _describe(session: Session, each: ExportItem, stream: StreamHash, *, checked: bool) -> PathInfo:
    """What an item says of the archive that was read, if it may be believed."""
    nar_hash = stream.finish()
    said, signature = each.description()
    if checked:
        digest = stream.continued(said.encoded).digest
        session.service.keyring.judge_export(said.path, signature, digest)
    return _believed(session, said, PathInfo(said.path, nar_hash, stream.size))


def _believed(session: Session, said: export.Description, info: PathInfo) -> PathInfo:
    """With references, and a deriver only where that is here, as in Guix."""
    deriver = said.deriver if said.deriver and session.store.is_valid(said.deriver) else None
    return replace(info, references=tuple(sorted(set(said.references))), deriver=deriver)


def query_closure(session: Session, request: QueryClosure) -> list[PathInfo]:
    """Give what is known of paths and all that they need, references first."""
    return session.store.closure_infos(request.paths)


def query_requisites(session: Session, request: QueryRequisites) -> set[StorePath]:
    """Give paths and all that they need, in no order."""
    return session.store.closure(request.paths)


SHARED: Rows = (
    ExportPath.answered_by(export_path),
    ImportPaths.answered_by(deduplicating(import_paths)),
)
NIX: Rows = (
    QueryClosure.answered_by(query_closure),
    QueryRequisites.answered_by(query_requisites),
)
