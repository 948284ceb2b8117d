"""Whether what `.links` keeps still holds what its names say (`deduplication.links`).

A link whose file was changed is of no use, and with it the files of objects that are the same file
were changed, which shows in those too. Taking it away loses nothing.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice

from fruix.errors import FruixError
from fruix.late import late_pattern
from fruix.model.base32 import ALPHABET
from fruix.model.finding import Finding, FindingKind
from fruix.store.deduplication.contents import opened_contents
from fruix.store.leftovers import LINKS
from fruix.store.tree.descriptors import OPEN_DIRECTORY, lstat, opened_directory
from fruix.store.tree.walk import Kind
from fruix.store.verification.parallel import in_parallel

_BATCH = 64
# Anything else somebody has put there.
_NAME = late_pattern(f"[{ALPHABET}]{{52}}")


def link_findings(store: int, directory: str) -> Iterator[Finding]:
    """Yield a finding for each link that is damaged. Reads all their files, in parallel.

    Args:
        store: the open store directory.
        directory: its name.
    """
    try:
        links = os.open(LINKS, OPEN_DIRECTORY, dir_fd=store)
    except FileNotFoundError:
        return
    try:
        names = iter(sorted(filter(_NAME.fullmatch, os.listdir(links))))

        def look(run: list[str]) -> list[Finding]:
            found = ((name, _key(links, os.fsencode(name))) for name in run)
            return [
                Finding(FindingKind.LINK, f"{directory}/{LINKS}/{name}", name, key)
                for name, key in found
                if key not in {name, ""}
            ]

        for found in in_parallel(look, iter(lambda: list(islice(names, _BATCH)), [])):
            yield from found
    finally:
        os.close(links)


def remove_link(store: int, name: str) -> None:
    """Take a damaged link away; nothing there is fine."""
    with suppress(FileNotFoundError), opened_directory(store, LINKS) as links:
        os.unlink(name, dir_fd=links)


def _key(links: int, name: bytes) -> str:
    """The name that a link should have; empty if it is gone."""
    try:
        kind = Kind.SYMLINK if stat.S_ISLNK(lstat(links, name).st_mode) else Kind.FILE
        with opened_contents(links, name, kind) as contents:
            return contents.key
    except FileNotFoundError:
        return ""
    except (OSError, FruixError) as error:
        return str(error)
