"""How the blocks that are no commands are looked at: each by what reads such a thing in earnest."""

from __future__ import annotations

from collections.abc import Callable, Mapping

CHECKS: Mapping[str, Callable[[str], None]] = {}
