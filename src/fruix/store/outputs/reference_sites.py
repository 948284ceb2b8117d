"""Which files of a store object hold the hash part of a path.

The answer to "why does this refer to that?".

Reads the tree once more, file by file, without following links; names, contents and link targets
are looked at, as the reference scan did. Stops early for a path once `most` places are known.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import closing

from fruix.model.refscan import ReferenceScanner
from fruix.model.text import printable
from fruix.store.tree.descriptors import open_regular
from fruix.store.tree.file_contents import contents
from fruix.store.tree.walk import Kind, Node, walk


def mentions(parent: int, name: bytes, parts: Iterable[bytes], most: int = 3) -> dict[bytes, list[str]]:
    """Hash part → places in the tree `name` of the open directory `parent`, at most `most` each.

    A place is a file's name from the top of the tree on, in printable form, empty for the top
    itself.
    """
    found: dict[bytes, list[str]] = {part: [] for part in parts}
    with closing(walk(parent, name)) as nodes:
        for node in nodes:
            wanted = [part for part, places in found.items() if len(places) < most]
            if not wanted:
                break
            for part in _in(node, wanted):
                found[part].append(printable(node.inside))
    return found


def _in(node: Node, wanted: Iterable[bytes]) -> set[bytes]:
    if node.kind is Kind.END:
        return set()
    scanner = ReferenceScanner(wanted)
    if node.depth:
        scanner.feed(node.name)
    if node.kind is Kind.SYMLINK:
        scanner.feed(b"/" + os.readlink(node.name, dir_fd=node.parent))
    elif node.kind is Kind.FILE:
        scanner.feed(b"/")  # a name and what follows it don't make a mention together
        descriptor = open_regular(node.parent, node.name)
        try:
            for chunk in contents(descriptor, node.status.st_size, where=node.path):
                scanner.feed(chunk)
        finally:
            os.close(descriptor)
    return scanner.found
