"""What is wrong, or could be better, in package definitions: a table of checks.

Three levels: `error` (it can't be built or used as it stands), `warning` (should be put right),
`note` (worth knowing, and said on purpose). Checks here look at definitions alone; `lint_built` has
those that look at what came of one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from urllib.parse import urlsplit

from fruix.dataclass import dataclass
from fruix.late import late_pattern
from fruix.packages.package import Git, Local, Origin, Package


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found by a check; `level` is one of those above, and `hint` says what to do."""

    check: str
    level: str
    message: str
    hint: str = ""


_SYNOPSIS_LIMIT = 72
_OPERATORS = frozenset({"AND", "OR", "WITH", "(", ")"})
_INNERMOST = late_pattern(r"x (?:AND|OR|WITH) x|\( x \)")
_WORD = late_pattern(r"\(|\)|[A-Za-z0-9.+-]+")
_GENERATED = late_pattern(r"/(archive|tarball)/")
# Identifiers of SPDX that say neither `-only` nor `-or-later`: withdrawn, since nobody knows which
# was meant.
_VAGUE = late_pattern(r"A?L?GPL-[0-9.]+\+?")


def lint(package: Package) -> list[Finding]:
    """Everything that the checks find, in their order."""
    return [finding for check in CHECKS.values() for finding in check(package)]


def _synopsis(package: Package) -> Iterator[Finding]:
    text = package.synopsis
    if not text:
        yield Finding("synopsis", "warning", "there is none", 'say in a few words what it is: synopsis="…"')
        return
    if len(text) > _SYNOPSIS_LIMIT:
        yield Finding("synopsis", "warning", f"has {len(text)} characters, more than {_SYNOPSIS_LIMIT}")
    if text.endswith("."):
        yield Finding("synopsis", "warning", "ends with a full stop", "it is a title, no sentence")
    if text.split(" ", 1)[0].lower() in {"a", "an", "the", package.name.lower()}:
        yield Finding("synopsis", "warning", "begins with an article or the package's name", "leave it out")
    if not text[:1].isupper() and not text[:1].isdigit():
        yield Finding("synopsis", "warning", "begins with a small letter")


def _description(package: Package) -> Iterator[Finding]:
    text = package.description.strip()
    if not text:
        yield Finding("description", "warning", "there is none", "say in a sentence or two what it is for")
    elif not text.endswith((".", "!", "?", ".)")):
        yield Finding("description", "warning", "does not end like a sentence")
    elif text.rstrip(".") == package.synopsis:
        yield Finding("description", "warning", "says no more than the synopsis")


def _license(package: Package) -> Iterator[Finding]:
    text = package.license
    if not text:
        yield Finding("license", "warning", "there is none", 'give an SPDX expression: license="MIT"')
        return
    words = _WORD.findall(text)
    if "".join(words) != text.replace(" ", "") or not _is_expression(words):
        hint = "such as GPL-3.0-or-later, MIT AND Zlib"
        yield Finding("license", "error", f"'{text}' is no SPDX expression", hint)
    for word in words:
        if _VAGUE.fullmatch(word):
            name = word.rstrip("+")
            yield Finding("license", "warning", f"'{word}' is vague", f"write {name}-only or {name}-or-later")


def _is_expression(words: list[str]) -> bool:
    """Whether operators and parentheses can be taken away, innermost first, until one name is left."""
    text = " ".join(word if word in _OPERATORS else "x" for word in words)
    while (shorter := _INNERMOST.sub("x", text)) != text:
        text = shorter
    return text == "x"


def _home_page(package: Package) -> Iterator[Finding]:
    parts = urlsplit(package.home_page)
    if not package.home_page and isinstance(package.source, Local):
        return  # what is made here needs none
    if not package.home_page:
        yield Finding("home-page", "warning", "there is none", 'home_page="https://…"')
    elif parts.scheme not in {"http", "https"} or not parts.netloc:
        yield Finding("home-page", "error", f"'{package.home_page}' is no URL of a page")


def _source(package: Package) -> Iterator[Finding]:
    origin = package.source
    if isinstance(origin, Git | Origin) and len(set(origin.hash.base16)) == 1:
        yield Finding("source-hash", "error", "the hash is made up", "fruix build says the right one")
    if not isinstance(origin, Origin):
        return
    for url in origin.urls:
        parts = urlsplit(url)
        if (
            parts.scheme not in {"http", "https", "mirror", "file"}
            or not (parts.netloc or parts.scheme == "file")
            or not parts.path.strip("/")
        ):
            hint = "http, https, mirror://NAME/… or file:///…"
            yield Finding("source-url", "error", f"'{url}' can't be fetched", hint)
        if _GENERATED.search(parts.path):
            hint = "name a copy that stays as it is, such as a distribution's, before it"
            yield Finding("source-url", "warning", f"'{url}' is made on demand: its hash may change", hint)
    if len(set(origin.urls)) < len(origin.urls):
        yield Finding("source-url", "warning", "a URL is there twice")
    if package.version and not any(package.version in url for url in origin.urls):
        message = f"no URL has the version {package.version}"
        yield Finding("source-url", "warning", message, "is it still the same source?")


def _inputs(package: Package) -> Iterator[Finding]:
    fields = ("inputs", "propagated_inputs", "native_inputs")
    seen: dict[str, str] = {}
    for field in fields:
        for item in getattr(package, field):
            if item.name in seen:
                message = f"{item.name} is in {seen[item.name]} and in {field}"
                yield Finding("inputs", "warning", message, "leave one out")
            seen[item.name] = field
            if item.name == package.name:
                yield Finding("inputs", "note", f"built with another {item.full_name}")


def _build(package: Package) -> Iterator[Finding]:
    phases = package.recipe.phases
    has_check = "check" in phases.names
    if package.build_system not in {"trivial", "copy"}:
        if not has_check and "*" not in package.untested:
            yield Finding("tests", "warning", "tests are off without a reason", 'untested={"*": "why"}')
        if "install" not in phases.names:
            yield Finding("phases", "warning", "nothing is installed: there is no phase install")
    if has_check and "*" in package.untested:
        hint = "take '*' out of untested, or tests=False"
        yield Finding("tests", "warning", "tests are on, and said to be off", hint)
    if package.build_system in {"gnu", "cmake", "meson"} and "validate-runpath" not in phases.names:
        message = "the phase validate-runpath is taken out"
        yield Finding("run-path", "warning", message, "give the linker run paths instead")
    for what, why in package.untested.items():
        yield Finding("tests", "note", f"not tested: {'all of it' if what == '*' else what}: {why}")
    if package.unreproducible:
        yield Finding("reproducible", "note", f"two builds may differ: {package.unreproducible}")


CHECKS: Mapping[str, Callable[[Package], Iterator[Finding]]] = {
    "synopsis": _synopsis,
    "description": _description,
    "license": _license,
    "home-page": _home_page,
    "source": _source,
    "inputs": _inputs,
    "build": _build,
}
