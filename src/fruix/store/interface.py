"""What every store can do, here or behind a socket.

The interface of `LocalStore` and `RemoteStore`.

Paths come and go as `StorePath`; contents as streams of bytes. Any method may raise `StoreError`
(here) or `UnreachableError` and `DisconnectedError` (remote) besides what it says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from fruix.model.contentaddress import Method
from fruix.model.derivation import Derivation
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath
from fruix.model.text_object import Text


class Store(Protocol):
    """A store of objects named by hashes."""

    @property
    def directory(self) -> str:
        """The store directory, part of every path."""

    def is_valid(self, path: StorePath) -> bool:
        """Whether the path is registered."""

    def valid_paths(self, paths: Iterable[StorePath]) -> set[StorePath]:
        """Those of the paths that are valid."""

    def path_info(self, path: StorePath) -> PathInfo | None:
        """What is known about a path, or None when it is not valid."""

    def references(self, path: StorePath) -> list[StorePath]:
        """What a valid path refers to, in order.

        Raises:
            InvalidPathError: the path is not valid.
        """

    def referrers(self, path: StorePath) -> list[StorePath]:
        """The valid paths that refer to this one, in order."""

    def closure(self, paths: Iterable[StorePath]) -> set[StorePath]:
        """The paths and everything they need, directly or not.

        Raises:
            InvalidPathError: one of the paths is not valid.
        """

    def closure_infos(self, paths: Iterable[StorePath]) -> list[PathInfo]:
        """What is known of the paths and of everything they need, each after what it refers to.

        Raises:
            InvalidPathError: one of the paths is not valid.
        """

    def valid_derivers(self, path: StorePath) -> list[StorePath]:
        """The valid derivations that have this path among their outputs."""

    def from_hash_part(self, text: str) -> StorePath | None:
        """The valid path with this hash part.

        Raises:
            BadStorePathError: no hash part can look like that.
        """

    def all_valid_paths(self) -> list[StorePath]:
        """Every valid path, in order."""

    def derivation_outputs(self, drv: StorePath) -> Mapping[str, StorePath]:
        """The outputs of a valid derivation by name, whether valid or not.

        Raises:
            InvalidPathError: the derivation is not valid.
        """

    def read_derivation(self, path: StorePath) -> Derivation:
        """A valid derivation's contents.

        Raises:
            InvalidPathError: the derivation is not valid.
            BadDerivationError: it is none.
        """

    def add_text(self, name: str, contents: bytes, references: Sequence[StorePath] = ()) -> StorePath:
        """Add a small file, named by its contents and references.

        Raises:
            BadStorePathError: a name that no path can have.
            InvalidPathError: a reference is not valid.
            BadDerivationError: the name ends in `.drv` and the contents are not right.
        """

    def add_text_soon(self, text: Text) -> StorePath:
        """The same, at the latest before this object is asked anything else.

        What `add_text` would have raised is raised then. `add_waiting` has nothing wait any more.
        """
        return self.add_text(text.name, text.contents, text.references)

    def add_waiting(self) -> None:
        """Add the texts that still wait."""
        return

    def add_path(
        self, name: str, source: str, method: Method = Method.NAR, algorithm: str = "sha256"
    ) -> StorePath:
        """Add a file or tree of the caller, streamed.

        Raises:
            ObjectRejectedError: special files, too deep, or not a plain file for `FLAT`.
            OSError: `source` can't be read.
        """

    def add_nar(self, info: PathInfo, chunks: Iterable[bytes], *, repair: bool = False) -> None:
        """Add an object whose path is known.

        The archive is read to its end even if the path is valid already.

        Raises:
            HashMismatchError: the archive, or the content address, is not what `info` says.
            BadNarError: not a canonical archive.
            InvalidPathError: a reference is not valid.
        """

    def add_signatures(self, path: StorePath, signatures: Iterable[str]) -> None:
        """Add signatures (`NAME:BASE64`) to those of a valid path.

        Nobody looks whether they are good.

        Raises:
            InvalidPathError: the path is not valid.
            UsageError: a text that is no signature, or too many of them.
        """

    def nar(self, path: StorePath) -> Iterator[bytes]:
        """A valid path's archive, in chunks.

        Raises:
            InvalidPathError: the path is not valid.
        """

    def add_temp_root(self, path: StorePath) -> None:
        """Protect a path from collection as long as this session lasts."""

    def add_indirect_root(self, link: str) -> None:
        """Make a user's symlink a root.

        Raises:
            UsageError: not an absolute file name.
        """
