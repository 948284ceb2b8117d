"""One machine's store: files, database, locks, roots.

What lives here: `LocalStore` (`local`) and the interface that it shares with the remote one
(`interface`); where things lie (`layout`, `places`); the database (`schema`, `database`, `registration`);
adding (`objects/`) and taking outputs (`outputs/`); equal files (`deduplication/`); trees
(`tree/`); locks and roots; the sync mark and recovery (`durability`); looking through all of it
(`verification/`); builds known to fail (`failed_paths`).

Rules: nothing here knows builds or sockets. A path is valid when it has a row, and only then; what
a valid path holds never changes. Whatever others may have had a hand in is walked by directory
descriptors without following links. `flags` is the only file that knows which system it runs on.
"""

from __future__ import annotations

from fruix.late import late_names

TYPE_CHECKING = False  # what `typing` has, without loading it
if TYPE_CHECKING:
    from fruix.store.interface import Store
    from fruix.store.layout import Layout
    from fruix.store.local import LocalStore
    from fruix.store.room import Limits

__all__ = ["Layout", "Limits", "LocalStore", "Store"]

# Commands that only ask the daemon need no database.
__getattr__ = late_names(
    __name__, {"Layout": "layout", "Limits": "room", "LocalStore": "local", "Store": "interface"}
)
