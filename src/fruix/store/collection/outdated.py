"""Roots that count no more when they were not made or used for long: users' links, old generations.

A user's link is made anew by each build that gives the same result, so its time is that of its last
use. The generation that a profile stands at is never too old; nor is what an administrator has put
into `gcroots` directly.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress

from fruix.late import late_pattern
from fruix.store.collection.persistent_roots import FoundRoot
from fruix.store.layout import Layout
from fruix.store.tree.descriptors import open_chain

_GENERATION = late_pattern(r"(.+)-[0-9]+-link")


def without_outdated(roots: Iterable[FoundRoot], since: int, layout: Layout) -> list[FoundRoot]:
    """Those of the roots that still count; `since` in seconds since the epoch."""
    auto = f"{layout.gcroots}/auto/"
    return [root for root in roots if root.changed >= since or not _can_end(root, auto)]


def _can_end(root: FoundRoot, auto: str) -> bool:
    directory, base = os.path.split(root.link)
    generation = _GENERATION.fullmatch(base)
    if generation is None:
        return root.place.startswith(auto)
    with suppress(OSError):
        return os.path.basename(os.readlink(f"{directory}/{generation[1]}")) != base
    return True


def remove_outdated(roots: Iterable[FoundRoot], counting: Sequence[FoundRoot]) -> None:
    """Remove the links of the roots that count no more; users' own links stay where they are."""
    for root in set(roots).difference(counting):
        directory = open_chain(os.path.dirname(root.place))
        try:
            with suppress(FileNotFoundError):
                os.unlink(os.path.basename(root.place), dir_fd=directory)
        finally:
            os.close(directory)
