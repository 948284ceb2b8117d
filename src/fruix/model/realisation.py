"""Realisations: where an output lies whose path doesn't follow from its derivation.

An id names the derivation by its masked hash modulo, so derivations that differ only in how fixed
inputs are fetched have the same.

    sha256:HEX!OUTPUT
"""

from __future__ import annotations

from fruix.dataclass import dataclass
from fruix.errors import FormatError
from fruix.late import late_import
from fruix.model.storepath import StorePath

TYPE_CHECKING = False  # what `typing` has, without loading it
if TYPE_CHECKING:
    import json
else:
    json = late_import("json")


def realisation_id(identity: str, output: str) -> str:
    """The id of an output; `identity` is from `DerivationHasher.identity`."""
    return f"sha256:{identity}!{output}"


@dataclass(frozen=True, slots=True)
class Realisation:
    """An output of a derivation by its hash, and where it is."""

    id: str
    path: StorePath
    signatures: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """The parts of the id: the derivation's (`sha256:HEX`), the output's name."""
        drv, _, output = self.id.rpartition("!")
        return drv, output

    @property
    def fingerprint(self) -> str:
        """What signatures sign: the JSON form without them."""
        return _json({"dependentRealisations": {}, "id": self.id, "outPath": self.path.base})

    def to_text(self) -> str:
        """The JSON form, byte for byte as the peers write it."""
        return _json(
            {
                "dependentRealisations": {},
                "id": self.id,
                "outPath": self.path.base,
                "signatures": sorted(self.signatures),
            }
        )

    @classmethod
    def parse(cls, text: str, directory: str) -> Realisation:
        """Read the JSON form.

        Raises:
            FormatError: something else.
        """
        try:
            value = json.loads(text)
            path = StorePath.of(directory, str(value["outPath"]))
            signatures = tuple(sorted(map(str, value.get("signatures", ()))))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise FormatError(f"no realisation: {error}") from None
        return cls(str(value["id"]), path, signatures)


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True)
