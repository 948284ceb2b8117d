"""What comparisons of derivations read of a store."""

from __future__ import annotations

from fruix.client import RemoteStore
from fruix.errors import FruixError, HostViewError
from fruix.model.derivation import Derivation
from fruix.model.hostview import HostView
from fruix.model.storepath import StorePath
from fruix.protocol.streams import flat_contents

_MOST_TEXT = 1 << 20  # bytes; a bigger file is not compared line by line


class StoreReader:
    """What a comparison reads of the store; derivations and host views are read once."""

    def __init__(self, store: RemoteStore) -> None:
        self._store = store
        self._derivations: dict[StorePath, Derivation] = {}
        self._views: dict[str, HostView | None] = {}

    def derivation(self, path: StorePath) -> Derivation:
        """The derivation at a path."""
        if path not in self._derivations:
            self._derivations[path] = self._store.read_derivation(path)
        return self._derivations[path]

    def text(self, path: StorePath) -> str | None:
        """The contents of a small file in UTF-8; None for anything else."""
        info = self._store.path_info(path)
        if info is None or info.nar_size > _MOST_TEXT:
            return None
        try:
            return b"".join(flat_contents(iter([b"".join(self._store.nar(path))]))).decode()
        except (FruixError, UnicodeDecodeError):
            return None

    def view(self, fingerprint: str) -> HostView | None:
        """The view that had a fingerprint on the daemon's machine; None if that is not known."""
        if fingerprint not in self._views:
            try:
                self._views[fingerprint] = self._store.host_view(fingerprint)
            except HostViewError:
                self._views[fingerprint] = None
        return self._views[fingerprint]
