"""Derivations that were parsed lately. Their files never change, since a path is the hash of its text, so this can't go stale.

Validity is not remembered here: whoever asks has asked the database. Thread-safe; bounded by a number of derivations.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from fruix.model.derivation import Derivation
from fruix.model.storepath import StorePath

LIMIT = 1024
_BIGGEST = 1 << 16  # bytes of text; larger ones are parsed each time


class DerivationCache:
    """The least recently used one makes room."""

    def __init__(self) -> None:
        self._known: OrderedDict[StorePath, Derivation] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, path: StorePath, read: Callable[[StorePath], bytes]) -> Derivation:
        """The derivation at `path`, whose bytes `read` gives if they are needed.

        Raises:
            BadDerivationError: it is none.
        """
        with self._lock:
            known = self._known.get(path)
            if known is not None:
                self._known.move_to_end(path)
                return known
        return self.parse(path, read(path))

    def parse(self, path: StorePath, data: bytes) -> Derivation:
        """Parse the text that `path` names, and remember the result.

        Raises:
            BadDerivationError: it is none.
        """
        derivation = Derivation.parse(data, drv_name(path), path.directory)
        if len(data) <= _BIGGEST:
            with self._lock:
                self._known[path] = derivation
                if len(self._known) > LIMIT:
                    self._known.popitem(last=False)
        return derivation


def drv_name(path: StorePath) -> str:
    """The name of the derivation that a `.drv` path holds."""
    return path.name.removesuffix(".drv")
