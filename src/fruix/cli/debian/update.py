"""New pins: the pieces that the groups of a root mean in a suite as it is now."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta

from fruix.cli.debian.closure import close
from fruix.cli.debian.index import Binary, Index
from fruix.cli.debian.mirror import Suite
from fruix.cli.debian.release import ALL_THE_SAME, moment
from fruix.dataclass import replace
from fruix.errors import UsageError
from fruix.packages.roots.pins import BASE, MARK, RUNTIME, PinnedPiece, Pins

# The snapshot archive takes what the mirrors have four times a day; it finds the last one before a time.
_TAKEN = timedelta(hours=12)


def updated(pins: Pins, suite: Suite, keyring: str | None) -> Pins:
    """The same root with the pieces that the suite has now.

    Args:
        pins: the root as it is.
        suite: the archive's suite that it names.
        keyring: the keys that are trusted; None: the index is not checked.

    Raises:
        UsageError: the index is not to be trusted, or older than the pins, or has not what is wanted.
        FruixError: no mirror has it.
    """
    if not any(pins.wanted.values()):
        raise UsageError("the root asks for no packages of an archive", where=f"{pins.file}: wanted")
    release = suite.release(keyring)
    before = pins.release.get("date", "")
    if keyring and before and release.made < moment(before):
        raise UsageError(
            f"the mirror's index is of {release.date}, older than the pins, which are of {before}",
            where=pins.file,
            hint=f"another mirror: --mirror URL; {ALL_THE_SAME}",
        )
    return replace(
        pins,
        release={
            "date": release.date,
            "inrelease": release.sha256,
            "snapshot": f"{release.made + _TAKEN:%Y%m%dT%H%M%SZ}",
        },
        pieces={
            system: _pieces(pins, Index(suite.packages(release, each.architecture)))
            for system, each in pins.systems.items()
        },
    )


def _pieces(pins: Pins, index: Index) -> tuple[PinnedPiece, ...]:
    """The pieces of all groups by name; those of a variant are what the base hasn't."""
    base = close(index, pins.wanted[BASE], without=pins.without)
    groups: dict[str, list[Binary]] = {BASE: base}
    for group, wanted in pins.wanted.items():
        if group != BASE:
            groups[group] = close(index, wanted, () if group == RUNTIME else base, pins.without)
    found = {binary.name: binary for members in groups.values() for binary in members}
    return tuple(
        PinnedPiece(
            name,
            binary.version,
            binary.path,
            binary.sha256,
            binary.size,
            tuple(group for group, members in groups.items() if binary in members),
        )
        for name, binary in sorted(found.items())
    )


def text_of(pins: Pins) -> str:
    """The whole file: what people wrote, and the pieces, a line each."""
    release = "".join(f"{key} = {json.dumps(value)}\n" for key, value in pins.release.items())
    pieces = "".join(_lines(pins.pieces))
    return f"{pins.written}{MARK}[pinned]\n{release}\n[pinned.pieces]\n{pieces}"


def _lines(pieces: Mapping[str, tuple[PinnedPiece, ...]]) -> Iterator[str]:
    """Inline tables; JSON's strings, numbers and lists are TOML's, too."""
    for system, listed in pieces.items():
        yield f"{system} = [\n"
        for piece in listed:
            fields = ((name, getattr(piece, name)) for name in PinnedPiece.__slots__)
            yield f"    {{{', '.join(f'{name} = {json.dumps(value)}' for name, value in fields)}}},\n"
        yield "]\n"
