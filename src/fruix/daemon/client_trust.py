"""What trusted users set for their session about signatures: whose count, and with what results are signed.

The names are Nix's. The daemon's own keys and settings stay in force besides.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fruix.daemon.keyring import Keyring
from fruix.errors import FormatError, UsageError
from fruix.model.named_keys import SecretKey
from fruix.model.storepath import StorePath
from fruix.protocol.options import KEY_LISTS, ClientOptions
from fruix.signing.path_signatures import PathTrust, read_secret_key, sign
from fruix.store.interface import Store

_REQUIRED, _SECRET = "require-sigs", "secret-key-files"
OF_TRUSTED_USERS = frozenset({_REQUIRED, _SECRET, *KEY_LISTS})
_TRUTH = {"true": True, "false": False}


def path_trust(options: ClientOptions, keyring: Keyring) -> PathTrust:
    """Whose signatures count: what the daemon's settings say, changed by what the client has set.

    Raises:
        UsageError: a value that is none.
    """
    said = options.overrides
    if not OF_TRUSTED_USERS & said.keys():
        return keyring.trust
    if said.get(_REQUIRED, "true") not in _TRUTH:
        raise UsageError(f"configuration option `{_REQUIRED}' should be either `true' or `false'")
    keys, more = said.get("trusted-public-keys"), said.get("extra-trusted-public-keys", "")
    try:
        return keyring.trusting(
            None if keys is None else keys.split(), more.split(), required=_TRUTH.get(said.get(_REQUIRED, ""))
        )
    except FormatError as error:
        raise UsageError(f"configuration setting `trusted-public-keys': {error.message}") from error


def secret_keys(options: ClientOptions) -> Sequence[SecretKey]:
    """The keys in the files that the client has named.

    Raises:
        FruixError: a file isn't secret, or holds no key.
    """
    return [read_secret_key(file) for file in options.overrides.get(_SECRET, "").split()]


def sign_results(store: Store, paths: Iterable[str], keys: Sequence[SecretKey]) -> None:
    """Sign what was just built."""
    for text in paths if keys else ():
        path = StorePath.parse(text, store.directory)
        if info := store.path_info(path):
            store.add_signatures(path, [sign(info, key) for key in keys])
