"""Whether builds of a crashed daemon may have left something: a look that costs next to nothing.

What undoes it (`recovery`) is most of the program, and seldom needed.
"""

from __future__ import annotations

import os

from fruix.store.layout import Layout

JOURNAL = "journal"
POINTS = "points"  # mount points that are kept for other builds
SPARE = "spare"  # empty directories that are kept for other builds
PARKED = "parked"  # where the roots of sandboxes that stand ready are mounted, empty for everybody else
UNFINISHED = ".new-"  # begins the names of copies that are being made
NOTES = "journal-spare"  # empty files that are kept for other notes
_LASTING = frozenset({JOURNAL, NOTES, POINTS, SPARE, PARKED})


def left_something(layout: Layout) -> bool:
    """Whether anything lies in their places that isn't there when no build runs."""
    return bool(
        {*_names(layout.builds)} - _LASTING
        or _names(f"{layout.builds}/{JOURNAL}")
        or any(name.startswith(UNFINISHED) for name in _names(layout.kept))
    )


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []
