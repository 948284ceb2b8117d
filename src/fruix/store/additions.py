"""The additions to a local store: texts, trees, archives with and without a path of their own.

The half of `LocalStore` that takes contents from outside of builds; `fruix.store.objects.add` does
the work, and says in which order.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence

from fruix.errors import FruixError, InvalidPathError
from fruix.model.contentaddress import Method
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath
from fruix.model.text_object import AddedText, Text
from fruix.overriding import override
from fruix.store.derivation_cache import check_size
from fruix.store.durability import Syncer
from fruix.store.objects import content_hashes
from fruix.store.objects.add import Adding
from fruix.store.objects.new_text import NewTexts
from fruix.store.realisations import StoredRealisations
from fruix.store.room import Room
from fruix.store.tree.descriptors import OPEN_DIRECTORY, lstat
from fruix.store.tree.dump import dump
from fruix.store.tree.hashing import StreamHash


class StoredObjects(StoredRealisations):
    """Mixed into `LocalStore`, which opens the directories."""

    durability: str
    _adding: Adding
    _new_texts: NewTexts
    _room: Room
    _syncer: Syncer

    @override
    def add_text(self, name: str, contents: bytes, references: Sequence[StorePath] = ()) -> StorePath:
        check_size(name, len(contents), self._room.limits.max_derivation)
        return self._adding.text(name, contents, references)[0]

    def add_text_info(self, name: str, contents: bytes, references: Sequence[StorePath] = ()) -> PathInfo:
        """The same, for those who want all about the path."""
        check_size(name, len(contents), self._room.limits.max_derivation)
        path, added = self._adding.text(name, contents, references)
        info = added or self.path_info(path)
        if info is None:
            raise InvalidPathError(str(path), hint="it was removed while it was being added: try again")
        return info

    def add_new_text(self, name: str, contents: bytes, references: Sequence[str]) -> AddedText | None:
        """The same, quickly, for a text that isn't there; see `NewTexts.add`.

        None, or any error: nothing was added that `add_text_info` would not add or refuse as ever.
        """
        # What is to be on disk before the call returns may fail when the text is valid already.
        return None if self.durability == "strict" else self._new_texts.add(name, contents, references)

    def add_texts(self, texts: Sequence[Text]) -> None:
        """Add several, which may refer to those before them, in one transaction.

        Raises:
            FruixError: as `add_text`; the texts before the one that it is about stay.
        """
        for text in texts:
            check_size(text.name, len(text.contents), self._room.limits.max_derivation)
        try:
            self._adding.texts(texts)
        except FruixError:
            for text in texts:  # which of them it is about, is told so
                self._adding.text(text.name, text.contents, text.references)

    @override
    def add_path(
        self, name: str, source: str, method: Method = Method.NAR, algorithm: str = "sha256"
    ) -> StorePath:
        directory, base = os.path.split(source.rstrip("/"))
        # The caller's own path: links on the way to it are his; from here on none is followed.
        parent = os.open(directory or ".", OPEN_DIRECTORY & ~os.O_NOFOLLOW)
        try:
            if method is Method.NAR:
                stream, size = dump(parent, os.fsencode(base), where=source), None
            else:
                size = lstat(parent, os.fsencode(base)).st_size
                stream = content_hashes.flat_chunks(parent, os.fsencode(base), where=source)
            return self._adding.dump(name, method, algorithm, stream, (), repair=False, size=size).path
        finally:
            os.close(parent)

    def check_room(self) -> None:
        """Before something begins that will add to the store, as a build does.

        Raises:
            NoSpaceError: less is free than has to be, or nothing at all.
        """
        self._room.spend(0)
        self._room.refuse_full()

    def add_dump(
        self,
        name: str,
        method: Method,
        algorithm: str,
        chunks: Iterable[bytes],
        references: Sequence[StorePath] = (),
        *,
        repair: bool = False,
    ) -> PathInfo:
        """Add contents whose path follows from them.

        An archive for `NAR`, a plain file's bytes for the other methods.

        Raises:
            BadNarError: not a canonical archive.
            BadStorePathError: a name that no path can have.
            InvalidPathError: a reference is not valid.
            ObjectRejectedError: a method that is not supported.
        """
        return self._adding.dump(name, method, algorithm, chunks, references, repair=repair)

    @override
    def add_nar(self, info: PathInfo, chunks: Iterable[bytes], *, repair: bool = False) -> None:
        self._adding.nar(info, chunks, repair=repair)

    def add_described(self, chunks: Iterable[bytes], describe: Callable[[StreamHash], PathInfo]) -> PathInfo:
        """Add an archive whose path is known only behind it.

        Args:
            chunks: the archive.
            describe: called when it has been read and hashed; returns what it is, or refuses it.

        Raises:
            BadNarError: not a canonical archive.
            InvalidPathError: a reference is not valid.
        """
        return self._adding.described(chunks, describe)

    @override
    def add_signatures(self, path: StorePath, signatures: Iterable[str]) -> None:
        self._room.spend(0)
        self._registrar.add_signatures(path, signatures)
        self._syncer.changed()

    def sync(self) -> None:
        """Return when everything that is registered now is on disk."""
        self._syncer.wait()
