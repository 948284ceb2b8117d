"""Where a binary cache is: `http://`, `https://` or `file://`, as in the settings of Nix and Guix."""

from __future__ import annotations

import posixpath
from typing import Self

from fruix.dataclass import dataclass
from fruix.errors import FormatError, UsageError

_REMOTE = ("http", "https")


@dataclass(frozen=True, slots=True)
class CacheAddress:
    """One cache.

    Attributes:
        url: without a slash at its end, and without parameters.
        directory: of a cache on this machine; empty: it is a server's.
        priority: that somebody has set; None: what the cache says itself.
    """

    url: str
    directory: str = ""
    priority: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an address; of parameters, `?priority=N` is known.

        `?store=DIRECTORY`, Nix's, is what the cache says itself.

        Raises:
            UsageError: it is none.
        """
        from urllib.parse import parse_qs, unquote, urlsplit  # noqa: PLC0415 - seldom needed

        try:
            parts = urlsplit(text.strip())
            query = parse_qs(parts.query, strict_parsing=bool(parts.query))
        except ValueError as error:
            raise UsageError(f"'{text}' is no address of a binary cache: {error}") from error
        priority = query.pop("priority", ["50"])[0] if "priority" in query else None
        if priority is not None and not (priority.isascii() and priority.isdecimal() and len(priority) < 10):
            raise UsageError(f"'{text}' has a priority that is no number")
        query.pop("store", None)
        query.pop("trusted", None)  # Nix's; here signatures alone speak for a path
        if query or parts.fragment:
            raise UsageError(f"'{text}' has parameters that are not known", hint="known: priority")
        url = parts._replace(query="").geturl().rstrip("/")
        number = None if priority is None else int(priority)
        if parts.scheme in _REMOTE and parts.hostname and "@" not in parts.netloc:
            return cls(url, priority=number)
        if parts.scheme == "file" and parts.path.startswith("/") and not parts.netloc:
            return cls(url, posixpath.normpath(unquote(parts.path)), number)
        raise UsageError(
            f"'{text}' is no address of a binary cache", hint="like https://host/path or file:///directory"
        )

    @property
    def is_remote(self) -> bool:
        """Whether it takes a network."""
        return not self.directory

    def place(self, name: str, shown: str) -> str:
        """Where a file of it is: an URL, or its name where the directory is shown as `shown`.

        Raises:
            FormatError: it would lie outside of a directory, or is no URL that can be asked.
        """
        from urllib.parse import unquote, urljoin, urlsplit  # noqa: PLC0415 - seldom needed

        if self.directory:
            inside = posixpath.normpath(unquote(name))
            if "://" in name or inside.startswith(("/", "../")) or inside == "..":
                raise FormatError(f"'{name}' is not within {self.url}")
            return f"{shown}/{inside}"
        found = urljoin(self.url + "/", name)
        if urlsplit(found).scheme not in _REMOTE:
            raise FormatError(f"'{name}' is no URL of a server")
        return found

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True, slots=True)
class Question:
    """A small file of a cache; `name` as the answer repeats it."""

    cache: CacheAddress
    name: str
