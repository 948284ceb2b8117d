"""Bringing one object to disk."""

from __future__ import annotations

import os
from contextlib import closing

from fruix.store import flags
from fruix.store.tree.descriptors import open_regular
from fruix.store.tree.walk import Kind, walk


def sync_object(parent: int, name: bytes) -> None:
    """Bring what lies at a name in an open directory to disk."""
    if not flags.sync_file_system(parent):
        sync_tree(parent, name)


def sync_tree(parent: int, name: bytes) -> None:
    """Fsync each file and directory of a tree: for systems that can't sync one file system."""
    with closing(walk(parent, name)) as nodes:
        for node in nodes:
            if node.kind is Kind.FILE:
                descriptor = open_regular(node.parent, node.name)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
            elif node.kind is Kind.END:
                os.fsync(node.descriptor)
