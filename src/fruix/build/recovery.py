"""What a daemon's start undoes of its predecessor's builds."""

from __future__ import annotations

from fruix.sandbox import Journal
from fruix.sandbox.recover import recover
from fruix.store import Layout
from fruix.store.tree import delete_tree


def journal_of(layout: Layout) -> Journal:
    """The journal beside the build directories."""
    return Journal(f"{layout.builds}/journal")


def recover_builds(layout: Layout) -> list[str]:
    """Remove processes, cgroups and directories of builds that a crashed daemon left; returns what was removed.

    Raises:
        StoreError: something can't be removed.
    """
    return recover(journal_of(layout), layout.builds, delete_tree)
