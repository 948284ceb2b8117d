"""Secrets in texts that others may read: what of a variable's value is one, and texts without it.

Proxies are given as `http://user:password@host:port` or without the scheme: the name with the
password is secret, the rest is not.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Collection, Iterable, Mapping

from fruix.late import late_pattern
from fruix.model.text import to_bytes

_USER_INFO = late_pattern(r"//([^/\s]*)@")
_USER_INFO_OF_VALUE = late_pattern(r"(?:^|/)([^/\s]+)@")
_INSTEAD = "***"
# A shorter password is hidden only together with its name, and a shorter value not at all: it would
# be found everywhere.
_LEAST_PASSWORD, _LEAST_VALUE = 4, 6


def secrets_in(values: Iterable[str]) -> tuple[str, ...]:
    """What is secret in URLs.

    The user's part and the password, also without percent signs and as HTTP sends it; the longest
    first.
    """
    from urllib.parse import unquote  # noqa: PLC0415 - seldom needed

    found: set[str] = set()
    for value in values:
        for info in _USER_INFO_OF_VALUE.findall(value):
            for text in (info, unquote(info)):
                name, colon, password = text.partition(":")
                if colon:
                    found |= {text, b64encode(to_bytes(text)).decode("ascii")}
                    found |= {password} if len(password) >= _LEAST_PASSWORD and password != name else set()
    return _longest_first(found)


def secret_values(variables: Mapping[str, str], urls: Collection[str]) -> tuple[str, ...]:
    """What is secret in variables.

    Of those whose names are in `urls` what `secrets_in` says, the others' values whole.
    """
    whole = {value for name, value in variables.items() if name not in urls and len(value) >= _LEAST_VALUE}
    return _longest_first({*whole, *secrets_in(variables[name] for name in urls if name in variables)})


def _longest_first(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(texts, key=lambda text: (-len(text), text)))


class Hider:
    """Takes secrets out of a stream of bytes, wherever it is cut into chunks.

    What may begin one is held back.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = [to_bytes(secret) for secret in secrets]
        self._held = b""

    def feed(self, chunk: bytes) -> bytes:
        """The next bytes to pass on."""
        if not self._secrets:
            return chunk
        data = self._held + chunk
        for secret in self._secrets:
            data = data.replace(secret, _INSTEAD.encode())
        held = max(_overlap(data, secret) for secret in self._secrets)
        cut = len(data) - held
        self._held = data[cut:]
        return data[:cut]

    def rest(self) -> bytes:
        """What was held back and turned out to be no secret: at the stream's end."""
        held, self._held = self._held, b""
        return held


def _overlap(data: bytes, secret: bytes) -> int:
    """How many bytes at the end of `data` begin `secret`; it is not whole there."""
    longest = min(len(data), len(secret) - 1)
    return next((size for size in range(longest, 0, -1) if data.endswith(secret[:size])), 0)


def without(text: str, secrets: Iterable[str]) -> str:
    """`text` with asterisks in place of each of `secrets`."""
    for secret in secrets:
        text = text.replace(secret, _INSTEAD)
    return text


def without_user(url: str) -> str:
    """A URL, or a text with URLs, without names and passwords."""
    return _USER_INFO.sub(f"//{_INSTEAD}@", url)
