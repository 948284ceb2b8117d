"""`builtin:fetchurl` (Nix's name) and `builtin:download` (Guix's).

What a derivation asks for, and the sandbox that fetches it.

Environment read: `urls` (blank separated) or `url`; Guix's `url` is Scheme text, one string or a
list of them; Guix's `mirrors` names a file of the store with lists of mirrors, as Scheme data;
`executable` ("1"); `unpack` ("1", Nix's only): the file is an archive. The result lands in the
workspace, under `OUTPUT_NAME`; the caller checks it and copies it into the store.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.request import getproxies

from fruix.building.builders import scheme
from fruix.building.builders.local_sources import find_source
from fruix.building.builders.mirrors import Candidate, debian_mirrors, expand
from fruix.building.settings import BuildSettings
from fruix.dataclass import dataclass
from fruix.downloads.undelivered import beginning
from fruix.errors import BadDerivationError
from fruix.model.contentaddress import Method, parse_output_method
from fruix.model.derivation import Derivation
from fruix.model.hashes import Hash
from fruix.model.storepath import StorePath

OUTPUT_NAME = "output"
# Where the fetcher leaves word of the URLs that did not deliver.
REPORT_NAME = "undelivered.json"
# Bytes; Guix's own list has 12,000.
_LONGEST_MIRRORS = 1 << 20


@dataclass(frozen=True, slots=True)
class Download:
    """One file to fetch: plain URLs in order, and the declared hash (of the file, or of its NAR).

    `hash` None: whatever is there is right (an impure derivation).
    """

    urls: tuple[Candidate, ...]
    hash: Hash | None
    method: Method
    executable: bool
    unpack: bool = False


def read_request(
    derivation: Derivation, mirrors: Mapping[str, tuple[str, ...]], real: Callable[[StorePath], str]
) -> Download:
    """What `derivation` wants fetched.

    Args:
        derivation: whose builder is `builtin:fetchurl` or `builtin:download`.
        mirrors: the operator's lists; they go before the derivation's own, and those before the
            built-in ones.
        real: where a store path lies.

    Raises:
        BadDerivationError: not fixed-output nor impure, or without URL.
    """
    out = derivation.outputs.get("out")
    if out is None or not derivation.is_open:
        raise BadDerivationError(
            f"'{derivation.builder}' must be a fixed-output or impure derivation",
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
    declared = _declared_mirrors(derivation, real)
    if "debian" in declared:  # this machine's own may be the only ones that it reaches
        declared["debian"] = (*debian_mirrors(), *declared["debian"])
    lists = {**declared, **mirrors}
    address = out.content_address
    digest = address.hash if address is not None else None
    method = parse_output_method(out.method_algorithm)[0]
    return Download(tuple(expand(urls, lists)), digest, method, executable, unpack)


def _declared_mirrors(derivation: Derivation, real: Callable[[StorePath], str]) -> dict[str, tuple[str, ...]]:
    """Guix's `mirrors`, if it is a file among the sources.

    What can't be read is a list that nobody knows, as its URLs will say.
    """
    if derivation.builder != "builtin:download":
        return {}
    wanted = derivation.env.get("mirrors", "")
    for path in derivation.input_srcs:
        if path.text == wanted:
            return scheme.named_lists(beginning(real(path), _LONGEST_MIRRORS).decode("utf-8", "replace"))
    return {}


def _urls(derivation: Derivation) -> list[str]:
    env = derivation.env
    if derivation.builder == "builtin:download":
        return scheme.strings(env.get("url", ""))
    return (env.get("urls") or env.get("url", "")).split()


def local_copy(download: Download, settings: BuildSettings) -> str | None:
    """An already downloaded file with the right contents, from the operator's source directories."""
    if download.method != Method.FLAT or download.hash is None:
        return None
    return find_source(
        settings.sources, download.hash, [tried.url.rpartition("/")[2] for tried in download.urls]
    )


def entry_arguments(
    download: Download, directory: str, settings: BuildSettings, ca_file: str
) -> dict[str, Any]:
    """Arguments of `download.main`, as seen from inside the sandbox."""
    known = download.hash if download.method == Method.FLAT and not download.unpack else None
    return {
        "urls": [[tried.url, tried.refusal] for tried in download.urls],
        # A NAR hash can't be checked on the way: the daemon does it.
        "hash": known.sri if known else "",
        "destination": f"{directory}/{OUTPUT_NAME}",
        "report": f"{directory}/{REPORT_NAME}",
        "executable": download.executable,
        "unpack": download.unpack,
        "max_size": settings.max_download_size,
        "ca_file": ca_file,
        "proxies": getproxies(),
    }
