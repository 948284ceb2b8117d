"""Roots: the pieces of which a build's `/usr` is made, pinned by hash (docs/roots.md).

A root's name is that of its pins (`pins`), with variants: `debian-12+c+++perl`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

from fruix.dataclass import dataclass
from fruix.errors import UsageError
from fruix.late import late_pattern
from fruix.model.root import Piece, Root
from fruix.packages.roots.pins import BASE, RUNTIME, PinnedPiece, Pins, file_of, read, shipped

# Of the runtime's pieces: libraries and what they load, no documents. Debian's /usr is merged.
_LIBRARIES = {"linux": ("usr/lib*",), "freebsd": ("lib/*", "libexec/ld-elf*", "usr/lib/*")}
# A variant's name ends where a `+` begins the next one; `c++` has two of its own.
_VARIANT = late_pattern(r"\+[^+]+(?:\+\+)?(?=\+|$)")
_NAME = late_pattern(rf"([^+]+)((?:{_VARIANT.pattern})*)")

# What was read for somebody: the root's name, or its file → its pins.
_asked: dict[str, Pins] = {}


@cache
def root(name: str, system: str) -> Root:
    """The root of that name, with variants, for a system; its own name has them in order, each once.

    Raises:
        UsageError: there is no such root or variant, or none for that system.
    """
    pins, variants = find_root(name)
    groups = (BASE, *variants)
    links = {path: target for group in groups for path, target in pins.links.get(group, {}).items()}
    return _root(pins, system, "".join(variants), groups, links=tuple(sorted(links.items())))


@cache
def runtime(name: str, system: str) -> Root:
    """The libraries that results of builds in the root of that name run with; variants change nothing.

    Raises:
        UsageError: as `root`.
    """
    pins, _ = find_root(name)
    without = pins.systems[system].runtime_without if system in pins.systems else ()
    only = (*_LIBRARIES[system.rpartition("-")[2]], *(f"!{pattern}" for pattern in without))
    return _root(pins, system, "-runtime", (RUNTIME,), only=only)


@dataclass(frozen=True, slots=True)
class KnownPiece:
    """Where a piece is pinned.

    Attributes:
        root: its root, as `fruix root` takes it.
        size: of its file in bytes; 0: unknown.
        updated: `fruix root update` would write another one; else people have written it down.
    """

    root: str
    size: int
    updated: bool


def known_pieces() -> Mapping[str, KnownPiece]:
    """The pieces of roots that Fruix brings, and of those that were asked for, by SHA-256."""
    known: dict[str, KnownPiece] = {}
    for name in {**dict.fromkeys(shipped()), **_asked}:
        pins = _asked.get(name) or find_root(name)[0]  # which reads it once
        for system in {**pins.archives, **pins.pieces}:
            written = (row.piece for row in pins.archives.get(system, ()))
            known |= {piece.sha256: KnownPiece(name, piece.size, updated=False) for piece in written}
            pinned = pins.pieces.get(system, ())
            known |= {row.sha256: KnownPiece(name, row.size, updated=True) for row in pinned}
    return known


def is_for(name: str, system: str) -> bool:
    """Whether a root that is shipped has pieces for a system; no name: false."""
    return name != "" and system in find_root(name)[0].pieces


@cache
def find_root(name: str) -> tuple[Pins, tuple[str, ...]]:
    """The pins that a root's name begins with, and the variants in it."""
    if (match := _NAME.fullmatch(name)) is None:
        raise UsageError(f"'{name}' is no name of a root", hint="such as debian-12 or debian-12+cmake+perl")
    pins = _asked[match[1]] = read(file_of(match[1]))
    variants = sorted(set(_VARIANT.findall(match[2])))
    offered = [group for group in pins.wanted if group.startswith("+")]
    if unknown := [variant for variant in variants if variant not in offered]:
        raise UsageError(
            f"the root '{pins.name}' has no variant '{unknown[0]}'", hint=f"there are: {', '.join(offered)}"
        )
    return pins, tuple(variants)


def _root(
    pins: Pins,
    system: str,
    suffix: str,
    groups: Sequence[str],
    *,
    links: tuple[tuple[str, str], ...] = (),
    only: tuple[str, ...] = (),
) -> Root:
    rows, archives = pins.pieces.get(system, ()), pins.archives.get(system, ())
    if not rows and not archives:
        raise UsageError(
            f"the root '{pins.name}' is not for {system}",
            hint=f"it is for: {', '.join({**pins.pieces, **pins.archives})}; use a host view there",
        )
    about, snapshot = pins.systems[system], pins.release.get("snapshot", "")
    wanted = set(groups)
    pieces = (
        *(_piece(row, snapshot) for row in rows if not wanted.isdisjoint(row.groups)),
        *(row.piece for row in archives if not wanted.isdisjoint(row.groups)),
    )
    if not pieces:
        raise UsageError(
            f"the root '{pins.name}' has no pieces of the group '{groups[0]}' for {system}",
            hint="name the group in 'groups' of its pieces (docs/roots.md)",
        )
    return Root(pins.name + suffix, system, pieces, links, only, about.loader, about.library_path)


def _piece(row: PinnedPiece, snapshot: str) -> Piece:
    urls = (f"mirror://debian/{row.path}", f"mirror://debian-snapshot/{snapshot}/{row.path}")
    return Piece(row.name, row.version, urls, row.sha256, row.size, "deb")
