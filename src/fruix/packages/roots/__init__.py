"""Roots: the pieces of which a build's `/usr` is made, pinned by hash (docs/roots.md)."""
