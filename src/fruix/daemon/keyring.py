"""The daemon's keys: what it signs with, and whose signatures it believes.

Secret keys of Nix's form are read when the daemon starts, so that a file that isn't secret keeps it
from starting; Guix's private key and access control list when they are used, as by guix-daemon.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fruix import signing
from fruix.daemon.settings import Settings
from fruix.dataclass import dataclass, field, replace
from fruix.errors import NotPermittedError
from fruix.model.named_keys import SecretKey
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath
from fruix.signing import path_signatures
from fruix.signing.path_signatures import PathTrust
from fruix.signing.substitute_trust import SubstituteTrust

if TYPE_CHECKING:
    from fruix.model.sexp import Sexp


@dataclass(frozen=True, slots=True)
class Keyring:
    """What it holds of secrets is in no text and no message."""

    trust: PathTrust
    acl_file: str
    signing_key_file: str
    secret_keys: Sequence[SecretKey] = field(default=(), repr=False)

    @classmethod
    def open(cls, settings: Settings) -> Keyring:
        """Read the secret keys.

        Raises:
            FruixError: one isn't secret or no key, or there is no library to sign with.
        """
        keys = [path_signatures.read_secret_key(file) for file in settings.secret_key_files]
        if keys:
            signing.libcrypto.library()
        trust = PathTrust.of(settings.trusted_public_keys, keys, required=settings.require_sigs)
        return cls(trust, settings.acl_file, settings.signing_key_file, keys)

    def trusting(
        self, keys: Sequence[str] | None, more: Sequence[str], *, required: bool | None
    ) -> PathTrust:
        """Other trust than the settings': `keys` in place of those that they name, and `more` of them.

        The daemon's own keys always count; None leaves what is set.

        Raises:
            FormatError: a text that is no public key.
        """
        given = PathTrust.of([*(keys or ()), *more], self.secret_keys)
        known = {} if keys is not None else self.trust.keys
        return PathTrust(self.trust.required if required is None else required, {**known, **given.keys})

    def signed(self, info: PathInfo) -> PathInfo:
        """What was built here, with the signatures of all keys."""
        if not self.secret_keys:
            return info
        made = {path_signatures.sign(info, key) for key in self.secret_keys}
        return replace(info, signatures=tuple(sorted({*info.signatures, *made})))

    def sign_export(self, digest: bytes) -> str:
        """Guix's signature of a SHA-256.

        Raises:
            FruixError: there is no private key, or no library to sign with.
        """
        return signing.export_signatures.sign(
            digest, signing.export_signatures.read_private_key(self.signing_key_file)
        )

    def judge_export(self, path: StorePath, signature: bytes | None, digest: bytes) -> None:
        """Raise unless an item may be imported.

        Raises:
            NotPermittedError: it isn't signed, or not by an authorized key.
        """
        if signature is None:
            raise NotPermittedError(
                f"imported archive of `{path}' lacks a signature",
                hint="a trusted user may import it unchecked: fruix import --no-check-sigs",
            )
        signing.export_signatures.judge(signature, digest, self.authorized())

    def authorized(self) -> Sequence[Sexp]:
        """The keys of the access control list, or this machine's own where there is none.

        Raises:
            FruixError: a file that can't be read, or is none.
        """
        own = os.path.splitext(self.signing_key_file)[0] + ".pub"
        return signing.export_signatures.authorized_keys(self.acl_file, own)

    def on_substitutes(self, trust: PathTrust | None = None) -> SubstituteTrust:
        """Whose word on paths of binary caches is taken; `trust`: instead of the settings' keys."""
        return SubstituteTrust(trust or self.trust, self.authorized)
