"""What a client may say of binary caches: whether they are asked, which ones, and whose word is taken.

Trusted users name any. Others name those that the operator has listed, in the Nix dialect; in the
Guix dialect any server, as with guix-daemon, where it is the signature that counts: for them one is
always needed then. Directories of this machine are for trusted users, since the daemon shows them to
the process that reads them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fruix.building.settings import BuildSettings
from fruix.daemon.keyring import Keyring
from fruix.dataclass import replace
from fruix.errors import UsageError
from fruix.model.build_options import SubstituteWishes
from fruix.protocol.options import ClientOptions
from fruix.protocol.wire import Dialect
from fruix.signing.path_signatures import PathTrust
from fruix.substitutes.address import CacheAddress

_TRUE = "true"


def substitute_wishes(
    options: ClientOptions,
    dialect: Dialect,
    settings: BuildSettings,
    keyring: Keyring,
    own: PathTrust | None,
) -> SubstituteWishes:
    """What a session wants.

    Args:
        options: what the client has set.
        dialect: its own.
        settings: the operator's.
        keyring: the daemon's.
        own: whom a trusted client trusts; None: the client isn't trusted.
    """
    said = options.overrides
    caches = _caches(said.get("substituters", said.get("substitute-urls")))
    more = _caches(said.get("extra-substituters")) or ()
    trust = keyring.on_substitutes(own)
    if own is None:
        allowed = set(_allowed([*(caches or ()), *more], dialect, settings))
        caches = caches and tuple(text for text in caches if text in allowed)
        more = tuple(text for text in more if text in allowed)
        if caches is not None and dialect is Dialect.GUIX:
            trust = keyring.on_substitutes(replace(keyring.trust, required=True))
    return SubstituteWishes(
        allowed=options.use_substitutes and said.get("substitute", _TRUE) == _TRUE,
        fallback=True if options.fallback or said.get("fallback") == _TRUE else None,
        caches=caches,
        more=more,
        trust=trust,
    )


def refused(options: ClientOptions, dialect: Dialect, settings: BuildSettings) -> Iterator[str]:
    """Warnings about caches that a client who isn't trusted has named in vain."""
    for name in ("substituters", "extra-substituters", "substitute-urls"):
        texts = _caches(options.overrides.get(name)) or ()
        allowed = set(_allowed(texts, dialect, settings))
        for text in texts:
            if text not in allowed:
                yield f"warning: ignoring untrusted substituter '{text}', you are not a trusted user."


def _caches(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(dict.fromkeys(text.split()))


def _allowed(texts: Iterable[str], dialect: Dialect, settings: BuildSettings) -> Iterator[str]:
    """Those that any user may name."""
    listed = {_url(text) for text in (*settings.substituters, *settings.trusted_substituters)}
    for text in texts:
        url = _url(text)
        if url in listed or (dialect is Dialect.GUIX and url.startswith(("http://", "https://"))):
            yield text


def _url(text: str) -> str:
    try:
        return CacheAddress.parse(text).url
    except UsageError:
        return ""
