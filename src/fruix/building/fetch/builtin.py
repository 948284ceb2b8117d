"""`builtin:fetchurl` (Nix's name) and `builtin:download` (Guix's): what a derivation asks for, and the sandbox that fetches it.

Environment read: `urls` (blank separated) or `url`; Guix's `url` is Scheme text, one string or a list of them; `executable` ("1");
`unpack` ("1", Nix's only): the file is an archive.
The result lands in the workspace, under `OUTPUT_NAME`; the caller checks it and copies it into the store.
"""

from __future__ import annotations

import re
import sys
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fruix.building.fetch.local import find_source
from fruix.building.fetch.urls import Candidate, expand
from fruix.building.settings import BuildSettings
from fruix.errors import BadDerivationError
from fruix.model.contentaddress import Method
from fruix.model.derivation import Derivation
from fruix.model.hashes import Hash

OUTPUT_NAME = "output"
FETCHERS = ("builtin:fetchurl", "builtin:download")

# Guile's escapes: \\xHH, \\uHHHH, \\UHHHHHH, or one character.
_SCHEME_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{6})|(.))", re.DOTALL)
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "0": "\0"}
_SCHEME_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True)
class Download:
    """One file to fetch: plain URLs in order, and the declared hash (of the file, or of its NAR)."""

    urls: tuple[Candidate, ...]
    hash: Hash
    method: Method
    executable: bool
    unpack: bool = False


def read_request(derivation: Derivation, mirrors: Mapping[str, tuple[str, ...]]) -> Download:
    """What `derivation` wants fetched.

    Raises:
        BadDerivationError: not fixed-output, or without URL.
        UsageError: none of its URLs can be fetched.
    """
    address = derivation.outputs["out"].content_address if derivation.is_fixed else None
    if address is None:
        raise BadDerivationError(
            f"'{derivation.builder}' needs a fixed output",
            where=derivation.name,
            hint="declare outputHash for output 'out'",
        )
    urls = _urls(derivation)
    if not urls:
        raise BadDerivationError(
            f"'{derivation.builder}' needs the variable 'url' or 'urls'", where=derivation.name
        )
    executable, unpack = (derivation.env.get(name) == "1" for name in ("executable", "unpack"))
    unpack = unpack and derivation.builder == "builtin:fetchurl"
    return Download(tuple(expand(urls, mirrors)), address.hash, address.method, executable, unpack)


def _urls(derivation: Derivation) -> list[str]:
    env = derivation.env
    if derivation.builder == "builtin:download":
        return [_unescaped(text) for text in _SCHEME_STRING.findall(env.get("url", ""))]
    return (env.get("urls") or env.get("url", "")).split()


def _unescaped(text: str) -> str:
    """A Scheme string's characters, as Guile writes them; what is no escape of its stays as it is."""

    def character(match: re.Match[str]) -> str:
        digits = match[1] or match[2] or match[3]
        if digits is None:
            return _ESCAPES.get(match[4], match[4])
        number = int(digits, 16)
        return chr(number) if number <= sys.maxunicode else match[0]

    return _SCHEME_ESCAPE.sub(character, text)


def local_copy(download: Download, settings: BuildSettings) -> str | None:
    """An already downloaded file with the right contents, from the operator's source directories."""
    if download.method != Method.FLAT:
        return None
    return find_source(
        settings.sources, download.hash, [tried.url.rpartition("/")[2] for tried in download.urls]
    )


def entry_arguments(
    download: Download, directory: str, settings: BuildSettings, ca_file: str
) -> dict[str, Any]:
    """Arguments of `download.main`, as seen from inside the sandbox."""
    return {
        "urls": [[tried.url, tried.refusal] for tried in download.urls],
        # A NAR hash can't be checked on the way: the daemon does it.
        "hash": download.hash.sri if download.method == Method.FLAT and not download.unpack else "",
        "destination": f"{directory}/{OUTPUT_NAME}",
        "executable": download.executable,
        "unpack": download.unpack,
        "max_size": settings.max_download_size,
        "ca_file": ca_file,
        "proxies": proxies(),
    }


def proxies() -> Mapping[str, str]:
    """The daemon's proxies: scheme → URL."""
    return urllib.request.getproxies()
