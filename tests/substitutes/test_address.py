"""Addresses of binary caches."""

from __future__ import annotations

import pytest

from fruix.errors import FormatError, UsageError
from fruix.substitutes.address import CacheAddress


def test_what_is_one() -> None:
    http = CacheAddress.parse("https://cache.example/x/?priority=7")
    assert (http.url, http.priority, http.is_remote) == ("https://cache.example/x", 7, True)
    local = CacheAddress.parse("file:///srv/a%20cache/../b/")
    assert (local.directory, local.priority, local.is_remote) == ("/srv/b", None, False)


@pytest.mark.parametrize(
    "text",
    ["", "x", "ftp://x/y", "http://", "file://x/y", "file:relative", "https://user@x/", "https://x?a=b",
     "https://x?priority=high", "http://[::1", "https://x#y"],
)  # fmt: skip
def test_what_is_none(text: str) -> None:
    with pytest.raises(UsageError):
        CacheAddress.parse(text)


def test_places() -> None:
    http, local = CacheAddress.parse("http://x/c"), CacheAddress.parse("file:///srv/c")
    assert http.place("nar/a.xz", "") == "http://x/c/nar/a.xz"
    assert http.place("https://y/b", "") == "https://y/b"
    assert local.place("nar/a.xz", "/shown") == "/shown/nar/a.xz"
    for cache, name in (
        (http, "file:///etc/passwd"),
        (local, "../../etc/passwd"),
        (local, "/etc/passwd"),
        (local, "http://x/"),
        (local, "%2e%2e/x"),
        (local, ".."),
    ):
        with pytest.raises(FormatError):
            cache.place(name, "/shown")
