"""The ways into the store: texts, files, trees and archives.

All follow one order: object into the staging directory (fresh, canonical), path from its hash,
temporary root, *then* the question whether the path is valid, lock, final name by one rename,
registration. Adding what is there already changes nothing; what is valid but was deleted by hand is
put back. Contents are streams; just texts (derivations, scripts) are held in memory, since they
arrive so.

Cost: a text is one small file, one rename and one transaction (about 0.2 ms, no fsync); big
contents go at SHA-256 speed, hashed in a thread of their own while they are written.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from fruix.model.contentaddress import ContentAddress, Method, path_for
from fruix.model.hashes import Hash
from fruix.model.nar import write
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath, check_name, in_order
from fruix.model.text_object import Text
from fruix.store.collection.temp_roots import TempRoots
from fruix.store.locks import PathLocks
from fruix.store.objects.content_hashes import check_address, check_method, nar_hash
from fruix.store.objects.incoming import check_archive, hashed, limited, with_archive
from fruix.store.objects.new_text import NewTexts, write_plain
from fruix.store.objects.new_text import Register as RegisterText
from fruix.store.objects.staging import Staging
from fruix.store.room import Room
from fruix.store.tree.hashing import StreamHash
from fruix.store.tree.restore import restore


class Register(Protocol):
    """Makes paths valid that were added; `texts`: what some of them hold (see `Registrar.register`)."""

    def __call__(self, infos: Sequence[PathInfo], texts: Mapping[StorePath, bytes] | None = None, /) -> None:
        """Register all of them or none."""


class Adding:
    """Adds objects to one store. Thread-safe, like its parts."""

    def __init__(
        self,
        directory: str,
        *,
        staging: Staging,
        room: Room,
        roots: TempRoots,
        locks: Callable[[], PathLocks],
        valid: Callable[[StorePath], bool],
        valid_of: Callable[[Iterable[StorePath]], Collection[StorePath]],
        there: Callable[[StorePath], bool],
        register: Register,
        replacing: Callable[[PathInfo], AbstractContextManager[None]],
    ) -> None:
        """`there`: valid, and not deleted by hand.

        `replacing` is entered around giving a valid path new contents and registering these.
        """
        self._directory = directory
        self._staging = staging
        self._room = room
        self._roots = roots
        self._locks = locks
        self._valid = valid
        self._valid_of = valid_of
        self._there = there
        self._register = register
        self._replacing = replacing

    def text(
        self, name: str, contents: bytes, references: Sequence[StorePath]
    ) -> tuple[StorePath, PathInfo | None]:
        """Add a text; see `Store.add_text`.

        None instead of what was registered: it was there already.
        """
        info = self._addressed(name, contents, references)
        path = info.path
        self._roots.add(path)
        again = self._valid(path)
        if again and self._there(path):
            return path, None
        self._room.spend(len(contents))
        info = with_archive(info, contents)
        # No lock: whoever adds the same text at the same time renames the same bytes to the same
        # name. A collector spares it, registered or not: it is a temporary root.
        with self._replacing(info) if again else nullcontext():
            with self._staging.place() as place:
                inode = self._write((contents,), place)
                if again:
                    self._staging.replace(place, path.base)
                else:
                    self._staging.publish(place, path.base, directory=False)
            try:
                self._register([info], {path: contents})
            except BaseException:
                if not self._valid(path):  # it may be that only waiting for the disk has failed
                    self._staging.retract(path.base, inode)
                raise
        return path, info

    def texts(self, texts: Sequence[Text]) -> None:
        """Add several in one transaction, all of them or none."""
        asked = {text: self._addressed(text.name, text.contents, text.references) for text in texts}
        paths = [info.path for info in asked.values()]
        self._roots.add_all(paths)
        valid = self._valid_of(paths)
        new = {
            info.path: (with_archive(info, text.contents), text.contents)
            for text, info in asked.items()
            if info.path not in valid
        }
        published: list[tuple[StorePath, int]] = []
        try:
            for path, (_, contents) in new.items():
                self._room.spend(len(contents))
                with self._staging.place() as place:
                    inode = self._write((contents,), place)
                    self._staging.publish(place, path.base, directory=False)
                published.append((path, inode))
            if new:
                contents_of = {path: contents for path, (_, contents) in new.items()}
                self._register([info for info, _ in new.values()], contents_of)
        except BaseException:
            for path, inode in published:
                if not self._valid(path):
                    self._staging.retract(path.base, inode)
            raise
        for text, info in asked.items():
            if info.path in valid and not self._there(info.path):
                self.text(text.name, text.contents, text.references)

    def _addressed(self, name: str, contents: bytes, references: Sequence[StorePath]) -> PathInfo:
        """What is known of a text before its archive is made; refuses a name that no path can have."""
        address = ContentAddress(Method.TEXT, Hash.of("sha256", contents))
        ordered = in_order(set(references))
        return PathInfo(
            path=path_for(address, name, self._directory, ordered),
            nar_hash=address.hash,
            nar_size=0,
            references=ordered,
            registration_time=int(time.time()),
            content_address=address,
        )

    def dump(
        self,
        name: str,
        method: Method,
        algorithm: str,
        chunks: Iterable[bytes],
        references: Sequence[StorePath],
        *,
        repair: bool,
        size: int | None = None,
    ) -> PathInfo:
        """Add contents whose path follows from them; see `LocalStore.add_dump`.

        `size`: of a plain file, where it is known before; it saves a second pass.
        """
        check_name(name)
        with self._staging.place() as place:
            spending = self._room.spending(chunks, tree=method is Method.NAR)
            digest, archive, nar_size = self._stage(place, method, algorithm, spending, size)
            address = ContentAddress(method, digest)
            ordered = in_order(set(references))
            path = path_for(address, name, self._directory, ordered)
            info = PathInfo(
                path=path, nar_hash=archive, nar_size=nar_size, references=ordered, content_address=address
            )
            self._publish(place, info, repair=repair)
        return info

    def nar(self, info: PathInfo, chunks: Iterable[bytes], *, repair: bool) -> None:
        """Add an archive whose path is known; see `Store.add_nar`."""
        self._roots.add(info.path)
        if self._stays(info, repair=repair):
            deque(chunks, maxlen=0)  # the sender goes on after the archive
            return
        with self._staging.place() as place:
            self.restore(place, info, chunks)
            self._publish(place, info, repair=repair)

    def restore(self, place: bytes, info: PathInfo, chunks: Iterable[bytes]) -> None:
        """Unpack an archive into the staging directory; it is what `info` says."""
        with StreamHash(info.nar_hash.algorithm) as stream:
            spending = self._room.spending(limited(hashed(chunks, stream), info), tree=True)
            restore(spending, self._staging.directory, place)
            found, size = stream.finish(), stream.size
        check_archive(info, found, size)
        check_address(self._staging.directory, place, info)

    def described(self, chunks: Iterable[bytes], describe: Callable[[StreamHash], PathInfo]) -> PathInfo:
        """Add an archive whose path is known only behind it; see `LocalStore.add_described`."""
        with self._staging.place() as place:
            with StreamHash("sha256") as stream:
                spending = self._room.spending(hashed(chunks, stream), tree=True)
                restore(spending, self._staging.directory, place)
                info = describe(stream)
            check_address(self._staging.directory, place, info)
            self._publish(place, info, repair=False)
        return info

    def _publish(self, place: bytes, info: PathInfo, *, repair: bool) -> None:
        """Give the object its final name and register it.

        If somebody else was faster, the staged object is dropped.
        """
        self._roots.add(info.path)
        with self._locks() as locks:
            locks.acquire([info.path], wait=True)
            if self._stays(info, repair=repair):
                self._staging.drop(place)
                return
            valid = self._valid(info.path)
            if valid:
                with self._replacing(info):
                    self._staging.replace(place, info.path.base)
                    self._register([info])
                return
            self._staging.publish(place, info.path.base)
            try:
                self._register([info])
            except BaseException:
                if not self._valid(info.path):  # it may be that only waiting for the disk has failed
                    self._staging.remove(info.path.base)
                raise

    def _stays(self, info: PathInfo, *, repair: bool) -> bool:
        """Whether what is there already is left as it is.

        Contents that were deleted by hand are taken again where their own hash names the path. Any
        others could be given to it by whoever comes first, so they need somebody who may repair.
        """
        if repair:
            return False
        return self._valid(info.path) if info.content_address is None else self._there(info.path)

    def _stage(
        self, place: bytes, method: Method, algorithm: str, chunks: Iterable[bytes], size: int | None
    ) -> tuple[Hash, Hash, int]:
        """Write the contents; returns their hash, and the hash and size of their archive."""
        check_method(method, algorithm)
        if method is Method.NAR:
            return self._stage_tree(place, algorithm, chunks)
        return self._stage_file(place, algorithm, chunks, size)

    def _stage_tree(self, place: bytes, algorithm: str, chunks: Iterable[bytes]) -> tuple[Hash, Hash, int]:
        with StreamHash(algorithm) as content, StreamHash("sha256") as archive:
            streams = [content] if algorithm == "sha256" else [content, archive]
            restore(hashed(chunks, *streams), self._staging.directory, place)
            digest = content.finish()
            return digest, digest if algorithm == "sha256" else archive.finish(), content.size

    def _stage_file(
        self, place: bytes, algorithm: str, chunks: Iterable[bytes], size: int | None
    ) -> tuple[Hash, Hash, int]:
        with StreamHash(algorithm) as content, StreamHash("sha256") as archive:
            if size is None:
                self._write(hashed(chunks, content), place)
            else:
                archive.update(write.MAGIC + write.file_head(size, executable=False))
                self._write(hashed(chunks, content, archive), place)
                archive.update(write.file_tail(size))
            digest = content.finish()
            if content.size == size:
                return digest, archive.finish(), archive.size
        # An archive names the size before the contents, and that is known only now: a second pass,
        # out of the cache.
        return digest, *nar_hash(self._staging.directory, place)

    def _write(self, chunks: Iterable[bytes], place: bytes) -> int:
        return write_plain(self._staging.directory, place, chunks)

    def new_texts(self, register: RegisterText) -> NewTexts:
        """What adds texts that are new."""
        return NewTexts(
            self._directory,
            staging=self._staging,
            room=self._room,
            roots=self._roots,
            valid=self._valid,
            register=register,
        )
