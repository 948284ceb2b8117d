"""Secrets in texts that others may read: what of a variable's value is one, and texts without it.

Proxies are given as `http://user:password@host:port`: the name and the password are secret, the rest is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote

_USER_INFO = re.compile(r"//([^/\s]*)@")
_INSTEAD = "***"


def secrets_in(values: Iterable[str]) -> tuple[str, ...]:
    """The user's part of each URL in `values` and the password in it, also without percent signs; the longest first."""
    found: set[str] = set()
    for value in values:
        for info in _USER_INFO.findall(value):
            password = info.partition(":")[2]
            found |= {info, password, unquote(info), unquote(password)}
    return tuple(sorted(found - {""}, key=lambda text: (-len(text), text)))


def without(text: str, secrets: Iterable[str]) -> str:
    """`text` with asterisks in place of each of `secrets`."""
    for secret in secrets:
        text = text.replace(secret, _INSTEAD)
    return text


def without_user(url: str) -> str:
    """A URL, or a text with URLs, without names and passwords."""
    return _USER_INFO.sub(f"//{_INSTEAD}@", url)
