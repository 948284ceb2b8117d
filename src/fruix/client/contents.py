"""`RemoteContents`: what a daemon's store holds, and additions to it, with the interface of a local store.

The methods that `Store` has are described there. A question is a round trip (some 30 µs of the
daemon's time). Contents are streamed both ways.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Self

from fruix.client.exchange import Exchange
from fruix.errors import InvalidPathError, UsageError
from fruix.model import aterm
from fruix.model.contentaddress import Method, render_method
from fruix.model.derivation import Derivation
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import DEFAULT_STORE, StorePath
from fruix.overriding import override
from fruix.protocol import common_operations as common
from fruix.protocol import nix
from fruix.protocol.streams import flat_contents
from fruix.store.interface import Store


class RemoteContents(Store):
    """A connection to a daemon, without what builds. A context manager.

    Implements `Store`; errors of the daemon are raised as they were there.
    """

    def __init__(
        self, stream: socket.socket, directory: str = DEFAULT_STORE, *, where: str = "daemon"
    ) -> None:
        """Take over a connected socket and greet; see `Exchange`."""
        self._directory = directory
        self._exchange = Exchange(stream, directory, where)
        self._call = self._exchange.call

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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    # Queries

    @override
    def is_valid(self, path: StorePath) -> bool:
        return self._call(common.IsValidPath(path))

    @override
    def valid_paths(self, paths: Iterable[StorePath]) -> set[StorePath]:
        return set(self._call(common.QueryValidPaths(tuple(paths))))

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
        """Ask one question per path in the closure, which is no snapshot."""
        found: set[StorePath] = set()
        waiting = list(paths)
        while waiting:
            path = waiting.pop()
            if path not in found:
                found.add(path)
                waiting.extend(self.references(path))
        return found

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
        return aterm.parse(contents, path.name.removesuffix(".drv"), self.directory)

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
