"""Objects from a store to a stream, and from one store to another. Nothing of them is held here.

Copying asks once what the closure is and once what of it is missing, then streams the missing
objects, references first, many in each request. Whatever has arrived is valid at once, so that the
same command goes on where an interrupted one stopped.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from fruix.client.contents import RemoteContents
from fruix.dataclass import dataclass
from fruix.model.nar import export
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath
from fruix.store.interface import Store
from fruix.store.objects.exported import item
from fruix.store.tree.descriptors import OPEN_DIRECTORY, exists
from fruix.store.tree.dump import dump

# What one request carries, unless it is one object: an error is heard of only at its end, so that
# so much may be sent in vain.
BATCH_SIZE = 64 << 20
BATCH_OBJECTS = 4096


# A path's archive.
Archives = Callable[[StorePath], Iterator[bytes]]


@contextmanager
def archives(store: Store, *, here: bool) -> Iterator[Archives]:
    """The archives of a store's paths: from the files, if they are `here`, else from its daemon.

    Reading files costs half of what the daemon's sending costs.
    """
    if not here or not os.path.isdir(store.directory):
        yield store.nar
        return
    descriptor = os.open(store.directory, OPEN_DIRECTORY)

    def read(path: StorePath) -> Iterator[bytes]:
        name = os.fsencode(path.base)
        return dump(descriptor, name, where=str(path)) if exists(descriptor, name) else store.nar(path)

    try:
        yield read
    finally:
        os.close(descriptor)


def write_exports(
    store: RemoteContents,
    infos: Sequence[PathInfo],
    write: Callable[[bytes], object],
    *,
    sign: bool = False,
    here: bool = False,
) -> None:
    """Write an export stream of paths, which are in an order with references first.

    Args:
        store: what has them.
        infos: what it knows of them.
        write: given the pieces of the stream.
        sign: have the daemon sign each, with its key in Guix's form.
        here: this process sees the store's files at their place.

    Raises:
        StoreError: a path isn't what was registered; what was written is no whole stream then.
    """
    with archives(store, here=here) as archive:
        for info in infos:
            write(export.ITEM)
            if sign:
                store.export_signed(info.path, write)
                continue
            for chunk in item(info, archive(info.path)):
                write(chunk)
    write(export.END)


@dataclass(slots=True)
class Copying:
    """How far copying has come: objects and bytes of archives, out of what is missing."""

    all_objects: int = 0
    whole_size: int = 0
    objects: int = 0
    size: int = 0

    def counted(self, archive: Iterable[bytes], on_progress: OnProgress) -> Iterator[bytes]:
        """One archive, counted as it is sent."""
        for chunk in archive:
            self.size += len(chunk)
            on_progress(self)
            yield chunk
        self.objects += 1


OnProgress = Callable[[Copying], object]


def copy(
    source: Store,
    destination: RemoteContents,
    paths: Sequence[StorePath],
    *,
    unchecked: bool = False,
    here: bool = False,
    substitute: bool = False,
    on_progress: OnProgress = lambda _: None,
) -> list[StorePath]:
    """Make paths, with all that they need, valid in another store.

    Args:
        source: has the paths.
        destination: another store, of the same store directory.
        paths: what is wanted there.
        unchecked: have a daemon that trusts this user take unsigned objects.
        here: this process sees the source's files at their place.
        substitute: the destination fetches first what its binary caches have of it.
        on_progress: told how far it has come: at first, and for each piece that is sent.

    Returns:
        What was missing, in the order in which it was sent.

    Raises:
        InvalidPathError: the source has not all of them.
        NotPermittedError: an object isn't signed by a key that the destination trusts.
    """
    missing = _missing(source.closure_infos(paths), destination, substitute=substitute)
    state = Copying(len(missing), sum(info.nar_size for info in missing))
    on_progress(state)
    with archives(source, here=here) as archive:
        for batch in batches(missing):
            objects = ((info, state.counted(archive(info.path), on_progress)) for info in batch)
            destination.add_several(objects, len(batch), unchecked=unchecked)
            on_progress(state)
    return [info.path for info in missing]


def _missing(infos: Sequence[PathInfo], destination: RemoteContents, *, substitute: bool) -> list[PathInfo]:
    there = destination.valid_paths((info.path for info in infos), substitute=substitute)
    return [info for info in infos if info.path not in there]


def batches(infos: Sequence[PathInfo]) -> Iterator[list[PathInfo]]:
    """Objects in their order, as many together as one request carries."""
    batch: list[PathInfo] = []
    size = 0
    for info in infos:
        if batch and (size + info.nar_size > BATCH_SIZE or len(batch) >= BATCH_OBJECTS):
            yield batch
            batch, size = [], 0
        batch.append(info)
        size += info.nar_size
    if batch:
        yield batch
