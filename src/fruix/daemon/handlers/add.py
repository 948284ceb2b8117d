"""Handlers of the operations that bring contents into the store.

Contents stream from the socket into the store. What a client may claim depends on who it is:
contents that name their own address are checked and need no trust; anything else would need a
signature that this daemon trusts, or a trusted user who vouches for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fruix.building.record.log_file import add_log, log_name
from fruix.daemon.handlers.deduplicate import deduplicating
from fruix.daemon.session import Rows, Session
from fruix.dataclass import replace
from fruix.errors import NotPermittedError, ProtocolError, UsageError
from fruix.model.contentaddress import Method, parse_method
from fruix.model.hashes import DIGEST_SIZES
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath
from fruix.model.text_object import Text
from fruix.protocol import guix, nix
from fruix.protocol.common_operations import AddTextToStore
from fruix.protocol.own_operations import AddTexts
from fruix.protocol.reader import FREE, Source
from fruix.protocol.streams import AskedSource, NarBody, flat_contents, read_objects, read_texts
from fruix.protocol.wire import CONTENTS_LIMIT
from fruix.store.memory import charge, scoped

# How many texts, or bytes of them, are added in one transaction; what one takes besides its bytes.
_TEXTS, _TEXTS_SIZE, _TEXT = 256, 1 << 20, 2000


def add_text_to_store(session: Session, request: AddTextToStore) -> StorePath:
    """Add a text that came with the request."""
    return session.store.add_text(request.name, request.contents, request.references)


def add_to_store(session: Session, request: nix.AddToStore) -> PathInfo:
    """Add contents whose path follows from them and the method.

    Who isn't trusted repairs nothing by that; the build behind it is what is refused then.

    Raises:
        UsageError: references where the method has none.
    """
    repair = request.repair and session.trusted
    name, references = request.name, request.references
    method, algorithm = parse_method(request.method)
    chunks = session.body.chunks()
    if method is not Method.TEXT or algorithm != "sha256":
        return session.store.add_dump(name, method, algorithm, chunks, references, repair=repair)
    # Derivations, by the thousand: the way that is made for small texts.
    return session.store.add_text_info(name, _gather(chunks), references)


def add_to_store_guix(session: Session, request: guix.AddToStore) -> StorePath:
    """Add what Guix's clients and old ones of Nix send: always an archive, even for a plain file.

    Raises:
        UsageError: no such hash algorithm.
    """
    name, algorithm = request.name, request.algorithm
    if algorithm not in DIGEST_SIZES:
        raise UsageError("unknown hash type")
    archive = session.body.chunks()
    if request.recursive:
        return session.store.add_dump(name, Method.NAR, algorithm, archive).path
    return session.store.add_dump(name, Method.FLAT, algorithm, flat_contents(archive)).path


def add_to_store_nar(session: Session, request: nix.AddToStoreNar) -> None:
    """Add one object whose path the client names."""
    _check_repair(session, repair=request.repair)
    body = session.body
    archive = NarBody(body) if isinstance(body, AskedSource) else body
    _receive(session, request.info, archive.chunks(), request)


def add_multiple_to_store(session: Session, request: nix.AddMultipleToStore) -> None:
    """Add one object after the other, references first."""
    _check_repair(session, repair=request.repair)
    if not isinstance(session.body, Source):
        raise ProtocolError("no stream of objects")
    for info, body in read_objects(session.body, session.context):
        _receive(session, info, body.chunks(), request)


def add_texts(session: Session, request: AddTexts) -> None:
    """Add texts, some at a time."""
    if not isinstance(session.body, Source):
        raise ProtocolError("no stream of texts")
    texts = read_texts(session.body, request.count, session.context)
    left = request.count
    while left > 0:
        with scoped():
            waiting = _some(texts)
            session.store.add_texts(waiting)
        left -= len(waiting)


def _some(texts: Iterator[Text]) -> list[Text]:
    """The next texts, as many as are added in one transaction."""
    found: list[Text] = []
    size = 0
    for text in texts:
        found.append(text)
        size += len(text.contents)
        charge(2 * len(text.contents) + _TEXT)
        if len(found) >= _TEXTS or size >= _TEXTS_SIZE:
            break
    return found


def add_signatures(session: Session, request: nix.AddSignatures) -> None:
    """Add signatures, for anybody: they count only for those who trust their keys."""
    session.store.add_signatures(request.path, request.signatures)


def add_build_log(session: Session, request: nix.AddBuildLog) -> None:
    """Add the log of a build that ran elsewhere, for trusted users: it is shown as what a builder wrote.

    Raises:
        UsageError: it is not for a derivation.
    """
    if not session.trusted:
        raise NotPermittedError("you are not privileged to add logs")
    if not request.drv.is_derivation:
        raise UsageError(f"'{request.drv}' is no derivation")
    file = session.store.layout.log_file(request.drv)
    add_log(log_name(file, session.service.settings.build.log_compression), session.body.chunks())


def _receive(
    session: Session,
    info: PathInfo,
    chunks: Iterable[bytes],
    request: nix.AddToStoreNar | nix.AddMultipleToStore,
) -> None:
    """Add an object whose path the client names."""
    vouched = session.trusted and request.unchecked
    known = session.store.is_valid(info.path) and not request.repair
    if not vouched and not known and not session.path_trust().accepts(info):
        raise NotPermittedError(
            f"cannot add path '{info.path}' because it lacks a signature by a trusted key",
            hint="the setting 'trusted-public-keys' says whose signatures count; a trusted user may add it "
            "unchecked (--no-check-sigs)",
        )
    believed = info if session.trusted else replace(info, ultimate=False)
    session.store.add_nar(believed, chunks, repair=request.repair)


def _check_repair(session: Session, *, repair: bool) -> None:
    if repair and not session.trusted:
        raise NotPermittedError("repairing is not allowed because you are not in 'trusted-users'")


def _gather(chunks: Iterable[bytes]) -> bytes:
    """A small text as a whole.

    Raises:
        UsageError: not that small.
        MemoryLimitError: the client has the daemon hold too much already.
    """
    found: list[bytes] = []
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > CONTENTS_LIMIT:
            raise UsageError(f"a text of more than {CONTENTS_LIMIT} bytes", hint="add it as a file")
        if size > FREE:
            charge(2 * len(chunk))  # the pieces, and what they are put together to
        found.append(chunk)
    return b"".join(found)


SHARED: Rows = (AddTextToStore.answered_by(deduplicating(add_text_to_store)),)
_ARCHIVE = guix.AddToStore.answered_by(deduplicating(add_to_store_guix))
NIX: Rows = (
    _ARCHIVE,
    nix.AddBuildLog.answered_by(add_build_log),
    nix.AddSignatures.answered_by(add_signatures),
    AddTexts.answered_by(deduplicating(add_texts)),
    nix.AddToStore.answered_by(deduplicating(add_to_store)),
    nix.AddToStoreNar.answered_by(deduplicating(add_to_store_nar)),
    nix.AddMultipleToStore.answered_by(deduplicating(add_multiple_to_store)),
)
GUIX: Rows = (_ARCHIVE,)
