"""Where outputs lie that their contents name: what was made before, and what clients say."""

from __future__ import annotations

from collections.abc import Mapping

from fruix.model.derivation import Derivation
from fruix.model.realisation import Realisation, realisation_id
from fruix.model.storepath import StorePath
from fruix.overriding import override
from fruix.store.queries import StoreQueries
from fruix.store.registration import Registrar


class StoredRealisations(StoreQueries):
    """Mixed into `LocalStore`, which reads derivations."""

    _registrar: Registrar

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
