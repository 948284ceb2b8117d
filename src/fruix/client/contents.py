"""`RemoteContents`: what a daemon's store holds, and additions to it, with the interface of a local store.

The methods that `Store` has are described there. A question is a round trip (some 30 µs of the
daemon's time). Contents are streamed both ways.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Self, TypeVar

from fruix.client.exchange import Exchange, OnData, OnEvent
from fruix.client.waiting_texts import TextsSoon, WaitingTexts
from fruix.errors import InvalidPathError, ProtocolError, UsageError
from fruix.model import aterm
from fruix.model.contentaddress import Method, render_method
from fruix.model.derivation import Derivation
from fruix.model.pathinfo import PathInfo, references_first
from fruix.model.storepath import DEFAULT_STORE, StorePath
from fruix.overriding import override
from fruix.protocol import common_operations as common
from fruix.protocol import nix
from fruix.protocol.own_operations import QueryClosure, QueryRequisites
from fruix.protocol.records import Request
from fruix.protocol.streams import flat_contents, write_objects
from fruix.protocol.wire import FEATURE, Dialect

R = TypeVar("R")


class RemoteContents(TextsSoon):
    """A connection to a daemon, without what builds. A context manager.

    Implements `Store`; errors of the daemon are raised as they were there.
    """

    _dialect = Dialect.NIX

    def __init__(
        self, stream: socket.socket, directory: str = DEFAULT_STORE, *, where: str = "daemon"
    ) -> None:
        """Take over a connected socket and greet; see `Exchange`."""
        self._directory = directory
        self._exchange = Exchange(stream, directory, where, self._dialect)
        self._call = self._exchange.call
        self._texts = WaitingTexts(self._exchange)

    @property
    @override
    def directory(self) -> str:
        return self._directory

    @property
    def daemon_version(self) -> str:
        """The daemon's program and version, as it says them."""
        return self._exchange.greeting.daemon_version

    @property
    def trusted(self) -> bool | None:
        """Whether the daemon trusts this user; None if it doesn't say."""
        return self._exchange.greeting.trusted

    def close(self) -> None:
        """Leave; the session's temporary roots go."""
        self._exchange.close()

    def hang_up(self) -> None:
        """Have whatever another thread is asking just now end with a `DisconnectedError`."""
        self._exchange.hang_up()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, failed: object, *_error: object) -> None:
        with closing(self):
            if failed is None:
                self.add_waiting()

    # Queries

    @override
    def is_valid(self, path: StorePath) -> bool:
        return self._call(common.IsValidPath(path))

    @override
    def valid_paths(self, paths: Iterable[StorePath], *, substitute: bool = False) -> set[StorePath]:
        """Those of the paths that are valid; `substitute`: once they are fetched, as far as they can be."""
        return set(self._call(common.QueryValidPaths(tuple(paths), substitute)))

    @override
    def path_info(self, path: StorePath) -> PathInfo | None:
        info = self._call(nix.QueryPathInfo(path))
        return None if info is None else info.keyed(path)

    @override
    def references(self, path: StorePath) -> list[StorePath]:
        return list(self._info(path).references)

    @override
    def referrers(self, path: StorePath) -> list[StorePath]:
        return list(self._call(common.QueryReferrers(path)))

    @override
    def closure(self, paths: Iterable[StorePath]) -> set[StorePath]:
        """The paths and all that they need.

        A fruix daemon is asked once; another is asked once for each path, which is no snapshot.
        """
        if FEATURE in self._exchange.context.features:
            return set(self._call(QueryRequisites(tuple(paths))))
        found: set[StorePath] = set()
        waiting = list(paths)
        while waiting:
            path = waiting.pop()
            if path not in found:
                found.add(path)
                waiting.extend(self.references(path))
        return found

    @override
    def closure_infos(self, paths: Iterable[StorePath]) -> list[PathInfo]:
        """What the store knows of all paths in the closure of some.

        A fruix daemon is asked once for all of it; another is asked once for each path, which is no
        snapshot.
        """
        if FEATURE in self._exchange.context.features:
            return list(self._call(QueryClosure(tuple(paths))))
        found: dict[StorePath, PathInfo] = {}
        waiting = list(paths)
        while waiting:
            path = waiting.pop()
            if path not in found:
                found[path] = self._info(path)
                waiting.extend(found[path].references)
        return references_first(found)

    @override
    def valid_derivers(self, path: StorePath) -> list[StorePath]:
        return list(self._call(common.QueryValidDerivers(path)))

    @override
    def from_hash_part(self, text: str) -> StorePath | None:
        return self._call(common.QueryPathFromHashPart(text))

    @override
    def all_valid_paths(self) -> list[StorePath]:
        return list(self._call(common.QueryAllValidPaths()))

    @override
    def derivation_outputs(self, drv: StorePath) -> Mapping[str, StorePath]:
        found = self._call(nix.QueryDerivationOutputMap(drv))
        return {name: path for name, path in found.items() if path is not None}

    @override
    def read_derivation(self, path: StorePath) -> Derivation:
        contents = b"".join(flat_contents(self.nar(path)))
        return aterm.parse(contents, path.short_name, self.directory)

    @override
    def nar(self, path: StorePath) -> Iterator[bytes]:
        """Stream the archive.

        Nothing else can be asked before its end; leaving early closes the connection.
        """
        return iter(self._call(nix.NarFromPath(path)))

    def _info(self, path: StorePath) -> PathInfo:
        info = self.path_info(path)
        if info is None:
            raise InvalidPathError(str(path))
        return info

    # Adding

    @override
    def add_text(self, name: str, contents: bytes, references: Sequence[StorePath] = ()) -> StorePath:
        return self._add(name, Method.TEXT, "sha256", [contents], references)

    @override
    def add_path(
        self, name: str, source: str, method: Method = Method.NAR, algorithm: str = "sha256"
    ) -> StorePath:
        from fruix.store.objects.content_hashes import flat_chunks  # noqa: PLC0415 - only for files
        from fruix.store.tree.dump import dump  # noqa: PLC0415

        directory, base = os.path.split(source.rstrip("/"))
        parent = os.open(directory or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            read = dump if method is Method.NAR else flat_chunks
            return self._add(name, method, algorithm, read(parent, os.fsencode(base), where=source), ())
        finally:
            os.close(parent)

    @override
    def add_nar(self, info: PathInfo, chunks: Iterable[bytes], *, repair: bool = False) -> None:
        """Stream the archive; without a content address the daemon takes it from trusted users only."""
        self._call(nix.AddToStoreNar(info, repair, unchecked=True), body=chunks)

    def add_several(
        self, objects: Iterable[tuple[PathInfo, Iterable[bytes]]], count: int, *, unchecked: bool
    ) -> None:
        """Stream `count` objects in one request, references first. Those before one that is refused stay.

        Raises:
            NotPermittedError: one that isn't signed by a key that the daemon trusts; `unchecked` has it
                take all from a trusted user.
        """
        body = write_objects(objects, count, self._exchange.context)
        self._call(nix.AddMultipleToStore(repair=False, unchecked=unchecked), body=body)

    def import_stream(self, chunks: Iterable[bytes], *, unchecked: bool) -> list[StorePath]:
        """Add what an export stream holds; the paths in their order.

        Raises:
            NotPermittedError: an item isn't signed by an authorized key, or this user may not have it
                taken `unchecked`.
            BadNarError: it is no export stream.
            ProtocolError: it is no fruix daemon.
        """
        return list(self.call_own("can't import streams", common.ImportPaths(unchecked), body=chunks))

    def export_signed(self, path: StorePath, on_data: OnData) -> None:
        """Have the daemon write a path as an item of an export stream, signed with its key.

        Raises:
            ProtocolError: it is no fruix daemon.
        """
        self.call_own("can't sign exports", common.ExportPath(path, sign=True), on_data=on_data)

    def call_own(
        self,
        lack: str,
        request: Request[R],
        *,
        body: Iterable[bytes] | None = None,
        on_event: OnEvent | None = None,
        on_data: OnData | None = None,
        descriptors: list[int] | None = None,
    ) -> R:
        """Ask what only a fruix daemon knows; `lack` is what another one can't do.

        Raises:
            ProtocolError: it is another one.
        """
        self.require_own(lack)
        return self._call(request, body=body, on_event=on_event, on_data=on_data, descriptors=descriptors)

    def require_own(self, lack: str) -> None:
        """See that it is a fruix daemon; `lack` is what another one can't do.

        Raises:
            ProtocolError: it is another one.
        """
        if FEATURE not in self._exchange.context.features:
            raise ProtocolError(f"'{self.daemon_version}' {lack}", hint="connect to a fruix daemon")

    @override
    def add_signatures(self, path: StorePath, signatures: Iterable[str]) -> None:
        self._call(nix.AddSignatures(path, tuple(signatures)))

    def add_build_log(self, drv: StorePath, chunks: Iterable[bytes]) -> None:
        """Add the log of a derivation that was built elsewhere; one that the daemon has already stays.

        Raises:
            NotPermittedError: the daemon doesn't trust this user.
        """
        self._call(nix.AddBuildLog(drv), body=chunks)

    @override
    def add_temp_root(self, path: StorePath) -> None:
        self._call(common.AddTempRoot(path))

    @override
    def add_indirect_root(self, link: str) -> None:
        if not link.startswith("/"):
            raise UsageError(f"'{link}' is not an absolute file name")
        self._call(common.AddIndirectRoot(link))

    def _add(
        self,
        name: str,
        method: Method,
        algorithm: str,
        chunks: Iterable[bytes],
        references: Sequence[StorePath],
    ) -> StorePath:
        request = nix.AddToStore(name, render_method(method, algorithm), tuple(references))
        return self._call(request, body=chunks).path
