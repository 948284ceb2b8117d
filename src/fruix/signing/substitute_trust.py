"""Whose word on a path of a binary cache is taken.

Nix's signatures count if their key is trusted, Guix's if theirs is in the access control list; what
names its own contents needs none, since adding checks it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from fruix import signing
from fruix.dataclass import dataclass, field
from fruix.errors import FruixError
from fruix.model.realisation import Realisation
from fruix.signing.path_signatures import PathTrust

if TYPE_CHECKING:
    from fruix.model.narinfo import NarInfo
    from fruix.model.sexp import Sexp


@dataclass(frozen=True, slots=True)
class SubstituteTrust:
    """The keys of Nix's form, and what reads the access control list: it may change at any time."""

    paths: PathTrust = field(default_factory=PathTrust)
    authorized: Callable[[], Sequence[Sexp]] = tuple

    def objection(self, said: NarInfo) -> str:
        """Why a narinfo isn't believed; empty: it is."""
        if self.paths.accepts(said.info):
            return ""
        if said.guix_signature:
            try:
                return self._guix_objection(said)
            except FruixError as error:  # no signature, no library, a damaged list
                return f"its signature can't be checked: {error}"
        if said.info.signatures:
            return "it's not signed by any of the keys in 'trusted-public-keys'"
        return "it isn't signed"

    def believes(self, said: Realisation) -> bool:
        """Whether the word on where an output is counts: nothing but signatures speaks for it."""
        return not self.paths.required or self.paths.vouched(said)

    def _guix_objection(self, said: NarInfo) -> str:
        from fruix.model.guix_signature import GuixSignature, signed_data  # noqa: PLC0415 - seldom needed

        signature = GuixSignature.parse(said.guix_signature)
        if signature.digest != said.signed:
            return "its signature is of something else"
        if signature.key not in self.authorized():
            return "its key isn't in the access control list (setting 'acl-file')"
        covered = signed_data(signature.key, signature.digest)
        if not signing.libgcrypt.verify(signature.value, covered, signature.key):
            return "its signature is wrong"
        return ""
