"""From the URLs of a derivation to plain `http(s)` URLs, in the order in which to try them.

`mirror://NAME/PATH` stands for PATH below each of NAME's mirrors; a NAME such as `https://host/` has
mirrors of what begins with it, tried after the URL itself. The lists below are defaults; the
operator's configuration can replace or add some. `mirror://debian/PATH` is special: its mirrors are
those of the machine's own apt configuration, read from `/etc/apt` (one-line and deb822 forms, see
sources.list(5)), so that a machine behind a local mirror uses it.

Cost: a few small files read per download. Nothing is fetched here.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Collection, Iterable, Mapping
from urllib.parse import urlsplit

from fruix.dataclass import dataclass
from fruix.errors import UsageError
from fruix.late import late_pattern
from fruix.model.secrets import without_user
from fruix.model.text import printable

SCHEMES = ("http", "https")

MIRRORS: Mapping[str, tuple[str, ...]] = {
    # What mirror://debian had at a time that the path begins with: its mirrors forget.
    "debian-snapshot": ("https://snapshot.debian.org/archive/debian/",),
    "gnu": (
        "https://ftpmirror.gnu.org/gnu/",
        "https://ftp.gnu.org/gnu/",
        "https://mirrors.kernel.org/gnu/",
    ),
    "kernel.org": ("https://www.kernel.org/pub/", "https://mirrors.edge.kernel.org/pub/"),
    "savannah": (
        "https://download.savannah.gnu.org/releases/",
        "https://download.savannah.nongnu.org/releases/",
    ),
    "sourceforge": ("https://downloads.sourceforge.net/project/", "https://prdownloads.sourceforge.net/"),
}

_ONE_LINE = late_pattern(r"^\s*deb(?:-src)?\s+(?:\[[^\]]*\]\s+)?(\S+)\s+\S+(.*)$")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A plain URL to try, or one that can't be fetched and why: then the next is tried."""

    url: str
    refusal: str = ""


def expand(
    urls: Iterable[str], mirrors: Mapping[str, tuple[str, ...]], *, apt_root: str = "/etc/apt"
) -> list[Candidate]:
    """Plain URLs for `urls`, also those that can't be fetched.

    Mirrors are put in; the order is kept, repetitions are left out.
    """
    known = {**MIRRORS, **mirrors}
    return list(dict.fromkeys(candidate for url in urls for candidate in _candidates(url, known, apt_root)))


def check_usable(found: Collection[Candidate], mirrors: Iterable[str]) -> None:
    """Refuse URLs of which not one can be fetched; `mirrors` are the names of the operator's lists.

    Raises:
        UsageError: says why of each.
    """
    if found and all(candidate.refusal for candidate in found):
        raise UsageError(
            "; ".join(f"URL '{_shown(candidate.url)}' {candidate.refusal}" for candidate in found),
            hint=f"the built-in fetcher takes {', '.join(SCHEMES)} and mirror:// URLs (lists: debian, "
            f"{', '.join(sorted({*MIRRORS, *mirrors}))}); add other files with 'fruix store add'",
        )


def _candidates(url: str, known: Mapping[str, tuple[str, ...]], apt_root: str) -> Iterable[Candidate]:
    if _scheme(url) != "mirror":
        return [_plain(url), *map(_plain, elsewhere(url, known))]
    parts = urlsplit(url)
    bases = known.get(parts.netloc)
    if bases is None and parts.netloc == "debian":
        bases = debian_mirrors(apt_root)
    if bases is None:
        return [Candidate(url, f"names an unknown mirror list '{parts.netloc}'")]
    rest = parts.path.lstrip("/")
    return [_plain(base.rstrip("/") + "/" + rest) for base in bases]


def elsewhere(url: str, mirrors: Mapping[str, tuple[str, ...]]) -> list[str]:
    """The same in the mirrors of beginnings of URLs, `https://host/`, with one of which it begins."""
    prefixes = (name for name in mirrors if "://" in name and url.startswith(name))
    return [base + url.removeprefix(prefix) for prefix in prefixes for base in mirrors[prefix]]


def _plain(url: str) -> Candidate:
    """A URL that is none of lists of mirrors."""
    try:
        scheme = urlsplit(url).scheme
    except ValueError as error:
        return Candidate(url, f"is malformed: {error}")
    return Candidate(url, "" if scheme in SCHEMES else f"has scheme '{scheme}'")


def _shown(url: str) -> str:
    return printable(without_user(url))


def debian_mirrors(apt_root: str = "/etc/apt") -> tuple[str, ...]:
    """The archive roots that apt uses here, the main archive's before others (security, third parties)."""
    found: dict[str, bool] = {}
    for uri, components in _apt_entries(apt_root):
        if _scheme(uri) in SCHEMES:
            found[uri] = found.get(uri, False) or "main" in components
    return tuple(sorted(found, key=lambda uri: _distance(uri, has_main=found[uri])))


def _scheme(url: str) -> str:
    try:
        return urlsplit(url).scheme
    except ValueError:
        return ""


def _distance(uri: str, *, has_main: bool) -> tuple[bool, bool, bool]:
    path = urlsplit(uri).path.rstrip("/")
    return (not path.endswith("/debian"), "security" in uri, not has_main)


def _apt_entries(apt_root: str) -> Iterable[tuple[str, list[str]]]:
    for path in [
        os.path.join(apt_root, "sources.list"),
        *sorted(glob.glob(os.path.join(apt_root, "sources.list.d", "*.list"))),
    ]:
        for line in _lines(path):
            if match := _ONE_LINE.match(line):
                yield match[1], match[2].split()
    for path in sorted(glob.glob(os.path.join(apt_root, "sources.list.d", "*.sources"))):
        for stanza in re.split(r"\n\s*\n", "\n".join(_lines(path))):
            fields = _fields(stanza)
            if fields.get("enabled", "yes") != "no":
                for uri in fields.get("uris", "").split():
                    yield uri, fields.get("components", "").split()


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return [line.rstrip("\n") for line in file if not line.lstrip().startswith("#")]
    except OSError:
        return []


def _fields(stanza: str) -> dict[str, str]:
    """A deb822 stanza's fields; continuation lines belong to the field above."""
    fields: dict[str, str] = {}
    name = ""
    for line in stanza.splitlines():
        if line[:1].isspace() and name:
            fields[name] += " " + line.strip()
        elif ":" in line:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.strip()
    return fields
