"""The links that this process made, and of which paths' files."""

from __future__ import annotations

import os
import threading

from fruix.log import Log
from fruix.store.deduplication.contents import Contents
from fruix.store.tree.descriptors import lstat

_log = Log(__name__)


class MadeLinks:
    """Makes and removes links in `.links`. Thread-safe."""

    def __init__(self, earlier: int) -> None:
        """`earlier`: id of the newest row; no link that is there already is of a later one."""
        self._earlier = earlier
        self._lock = threading.Lock()
        self._rows: dict[str, int] = {}

    def make(self, links: int, key: str, parent: int, name: bytes, row: int) -> bool:
        """Make a link to a file; False if there is one of that name.

        Args:
            links: the open directory of links.
            key: the link's name there.
            parent: the open directory that holds the file.
            name: the file's name there.
            row: id of the row of the file's path.

        Raises:
            OSError: as the system says.
        """
        with self._lock:
            try:
                link(parent, name, links, key)
            except FileExistsError:
                return False
            self._rows[key] = row
        return True

    def row_of(self, key: str) -> int:
        """The id of a row that is not older than the path whose file a link was made from."""
        return self._rows.get(key, self._earlier)

    def remove(self, links: int, damaged: Contents) -> None:
        """Remove a link that is damaged, unless another thread has done so."""
        with self._lock:
            if lstat(links, damaged.name).st_ino == damaged.status.st_ino:
                _log.warning("link %s was damaged; it is made anew", os.fsdecode(damaged.name))
                os.unlink(damaged.name, dir_fd=links)


def link(parent: int, name: str | bytes, to: int, to_name: str | bytes) -> None:
    """One more name, of a symlink too."""
    os.link(name, to_name, src_dir_fd=parent, dst_dir_fd=to, follow_symlinks=False)
