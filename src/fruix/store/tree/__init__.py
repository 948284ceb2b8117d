"""File trees: walking, dumping, restoring, copying and deleting them, whoever made them.

Rules: by directory descriptors and single names, never following a symlink; iterative, with bounded
depth and a bounded number of descriptors; contents are streamed; bytes for names. Nothing here
knows about databases or store paths.
"""

from __future__ import annotations

from fruix.store.tree.copy import copy_tree
from fruix.store.tree.delete import delete_tree
from fruix.store.tree.descriptors import open_chain
from fruix.store.tree.dump import dump
from fruix.store.tree.hashing import StreamHash
from fruix.store.tree.restore import restore
from fruix.store.tree.walk import MAX_DEPTH, Kind, Node, walk

__all__ = [
    "MAX_DEPTH",
    "Kind",
    "Node",
    "StreamHash",
    "copy_tree",
    "delete_tree",
    "dump",
    "open_chain",
    "restore",
    "walk",
]
