"""An archive's events together with the paths that they belong to.

Linear; nothing is kept but the path.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fruix.model.nar.read import NarReader
from fruix.model.nar.stream_events import DirectoryEnd, Entry, Event, FileEnd, Symlink


def members(chunks: Iterable[bytes]) -> Iterator[tuple[bytes, Event]]:
    """Every event of an archive with the path it belongs to (b"" for the top, parts joined by `/`)."""
    reader = NarReader()
    parts: list[bytes] = []
    for chunk in chunks:
        for event in reader.feed(chunk):
            if isinstance(event, Entry):
                parts.append(event.name)
                continue
            yield b"/".join(parts), event
            if isinstance(event, DirectoryEnd | FileEnd | Symlink) and parts:
                parts.pop()  # this node is over: back to its directory
    reader.finish()
