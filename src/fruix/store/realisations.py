"""Where outputs lie that their contents name: what was made before, and what clients say."""

from __future__ import annotations

from collections.abc import Mapping

from fruix.model.derivation import Derivation
from fruix.model.realisation import Realisation, realisation_id
from fruix.model.storepath import StorePath
from fruix.overriding import override
from fruix.store.derivation_cache import DerivationCache, read_file
from fruix.store.queries import StoreQueries
from fruix.store.registration import Registrar
from fruix.store.room import Room


class StoredRealisations(StoreQueries):
    """Mixed into `LocalStore`, which reads derivations."""

    _descriptor: int
    _registrar: Registrar
    _parsed: DerivationCache
    _room: Room

    def derivation_text(self, path: StorePath) -> bytes:
        """The bytes of a derivation's file, registered or not; see `read_file`."""
        return read_file(self._descriptor, path, self._room.limits.max_derivation)

    def valid_derivation(self, path: StorePath) -> Derivation:
        """As `read_derivation`, of a path that is known to be valid."""
        return self._parsed.get(path, self.derivation_text)

    def known_derivation(self, path: StorePath) -> Derivation | None:
        """A derivation that was read whole lately, for who else would read a part of it."""
        return self._parsed.known(path)

    def derivation_identity(self, derivation: Derivation) -> str:
        """The hexadecimal hash by which clients of Nix name a derivation whose inputs are valid."""
        return self._registrar.identity(derivation)

    @override
    def derivation_outputs(self, drv: StorePath) -> Mapping[str, StorePath]:
        found = super().derivation_outputs(drv)
        if found or not drv.is_derivation:
            return found
        return self.realised(self.read_derivation(drv))

    def realised(self, derivation: Derivation) -> dict[str, StorePath]:
        """The outputs of a derivation that are known: by itself, or because they were made before.

        Its inputs are valid.
        """
        found = dict(derivation.output_paths)
        if derivation.is_impure:  # what was made before is not what would be made
            return {}
        if not derivation.is_unresolved:
            return found
        identity = self.derivation_identity(derivation)
        for name in derivation.outputs:
            if (made := self.database.realisation(realisation_id(identity, name))) is not None:
                found[name] = made.path
        return found

    def realise(self, derivation: Derivation, outputs: Mapping[str, StorePath]) -> None:
        """Note what the outputs of a derivation are, all of which are valid.

        Raises:
            InvalidPathError: they are not.
        """
        identity = self.derivation_identity(derivation)
        self.database.realise(
            Realisation(realisation_id(identity, name), path) for name, path in outputs.items()
        )
