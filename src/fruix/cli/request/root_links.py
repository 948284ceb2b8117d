"""`--root FILE`: a user's symlinks to outputs, registered so that no collector takes those."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence

from fruix.client import RemoteStore
from fruix.errors import UsageError
from fruix.model.storepath import StorePath
from fruix.store.roots import replace_link


def link_names(first: str, results: Sequence[Mapping[str, StorePath]]) -> dict[str, StorePath]:
    """Link → what it links to: FILE for the first result, FILE-2 for the second and so on.

    `-NAME` stands at the end for outputs other than `out`.

    Args:
        first: FILE, absolute.
        results: for each thing asked for, its outputs by name (a path without outputs: under the
            empty name).
    """
    found = {}
    for number, outputs in enumerate(results, 1):
        base = first if number == 1 else f"{first}-{number}"
        found.update(
            {base if name in {"", "out"} else f"{base}-{name}": path for name, path in outputs.items()}
        )
    return found


def check_links(links: Iterable[str], directory: str) -> None:
    """Refuse names that hold anything else than a link into the store, before anything is built.

    Raises:
        UsageError: something is in the way.
    """
    for link in links:
        if os.path.lexists(link) and not (
            os.path.islink(link) and os.readlink(link).startswith(f"{directory}/")
        ):
            raise UsageError(
                "there is something that is no link into the store", where=link, hint="choose another --root"
            )
        if not os.path.isdir(os.path.dirname(link)):
            raise UsageError("there is no such directory", where=os.path.dirname(link))


def make_links(store: RemoteStore, links: Mapping[str, StorePath]) -> None:
    """Make or replace the links, then register them; the session keeps the paths until then."""
    check_links(links, store.directory)
    for link, path in links.items():
        store.add_temp_root(path)
        replace_link(str(path), link)
        store.add_indirect_root(link)
