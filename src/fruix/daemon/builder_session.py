"""The session of a builder that talks to the daemon (recursive Nix): who asks, and on whose behalf."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence

from fruix.building.nested import KnownPaths, Talk
from fruix.daemon.peers import Peer
from fruix.daemon.service import Service
from fruix.daemon.session import Session
from fruix.dataclass import replace
from fruix.model.build_options import BuildOptions
from fruix.model.buildresult import BuildMode, BuildResult
from fruix.model.derivation import Derivation
from fruix.model.derivedpath import DerivedPath
from fruix.model.storepath import StorePath
from fruix.overriding import override


class BuilderSession(Session):
    """Never trusted, and nothing that it sets counts; `known`: what it may know of the store."""

    def __init__(self, stream: socket.socket, peer: Peer, service: Service, talk: Talk) -> None:
        super().__init__(stream, peer, service, trusted=False)
        self.known: KnownPaths = talk.known
        self._talk = talk

    @override
    def build_options(self, mode: BuildMode) -> BuildOptions:
        """The operator's, under the contract of the build and for those who asked for it."""
        asked = self._talk.options
        chosen = super().build_options(mode)
        chosen = replace(chosen, contract=asked.contract, requester=asked.requester)
        return replace(chosen, cores=asked.cores, inside=self.known.drv)

    @override
    def realise(
        self,
        requests: Sequence[DerivedPath],
        mode: BuildMode,
        *,
        keep_going: bool = False,
        given: Mapping[StorePath, Derivation] | None = None,
    ) -> list[tuple[DerivedPath, BuildResult]]:
        """Build, with the slot of the builder that waits for it.

        Raises:
            FruixError: also if it would wait for itself, or too many builders wait already.
        """
        with self.service.builder.lent(self.known.drv):
            return super().realise(requests, mode, keep_going=keep_going, given=given)
