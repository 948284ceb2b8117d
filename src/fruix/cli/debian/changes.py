"""What differs between two versions of a root's pins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fruix.dataclass import dataclass
from fruix.packages.roots.pins import PinnedPiece, Pins


@dataclass(frozen=True, slots=True)
class Change:
    """A piece of one system: its versions (None: it isn't there), and the groups whose contents change."""

    system: str
    name: str
    old: str | None
    new: str | None
    groups: tuple[str, ...]


def changes(old: Pins, new: Pins) -> Iterator[Change]:
    """Each piece whose file is another, or that came, went or changed groups, by system and name."""
    for system in sorted(old.systems.keys() | new.systems.keys()):
        before, after = _by_name(old, system), _by_name(new, system)
        for name in sorted(before.keys() | after.keys()):
            one, other = before.get(name), after.get(name)
            groups = _groups(one) ^ _groups(other) if _same(one, other) else _groups(one) | _groups(other)
            if groups:
                versions = _version(one), _version(other)
                yield Change(system, name, *versions, tuple(sorted(groups)))


def _by_name(pins: Pins, system: str) -> Mapping[str, PinnedPiece]:
    return {piece.name: piece for piece in pins.listed(system)}


def _version(piece: PinnedPiece | None) -> str | None:
    return piece.version if piece else None


def _groups(piece: PinnedPiece | None) -> set[str]:
    return set(piece.groups) if piece else set()


def _same(one: PinnedPiece | None, other: PinnedPiece | None) -> bool:
    return one is not None and other is not None and (one.sha256, one.path) == (other.sha256, other.path)
