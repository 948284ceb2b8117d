"""One object as an item of an export stream, checked while it goes out.

Format: `fruix.model.nar.export`. One pass: the archive is hashed (in a thread of its own) as it is
handed on, and that hash, with the description added, is what a signature covers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from fruix.errors import StoreError
from fruix.model.nar import export
from fruix.model.pathinfo import PathInfo
from fruix.store.tree.hashing import StreamHash

# The signature of a SHA-256.
Sign = Callable[[bytes], str]


def item(info: PathInfo, archive: Iterable[bytes], sign: Sign | None = None) -> Iterator[bytes]:
    """The item's bytes, without the number before it.

    Raises:
        StoreError: the archive isn't what `info` says; most of it has gone out by then, so that the
            stream must end here.
    """
    with StreamHash("sha256") as stream:
        for chunk in archive:
            stream.update(chunk)
            yield chunk
        found = stream.finish()
        if found != info.nar_hash:
            raise StoreError(
                f"hash of path '{info.path}' has changed from '{info.nar_hash.prefixed}'"
                f" to '{found.prefixed}'!",
                hint="fruix store verify --contents --repair",
            )
        description = export.Description(info.path, info.references, info.deriver).encoded
        yield description
        yield export.signature(None if sign is None else sign(stream.continued(description).digest))
