"""`fruix root …`: the pinned roots in which packages are built, and new pins for them."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from fruix.atomic_file import atomic_file
from fruix.cli.debian.changes import Change, changes
from fruix.cli.debian.rebuilds import rebuilt
from fruix.cli.output.amounts import plural, size
from fruix.cli.output.terminal import harmless, styled, wants_colour
from fruix.cli.parser import add_command
from fruix.cli.request.known import known_packages
from fruix.dataclass import asdict
from fruix.errors import UsageError
from fruix.packages.roots.pins import Pins, file_of, read, shipped
from fruix.this_machine import local_system

_COLOURS = {"-": "red", "+": "green", "~": "yellow"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add a parser for each of the things that are done with roots."""
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, help="one of these:")
    show = add_command(commands, "show", "list the roots, or the pieces of one", _show)
    show.add_argument("root", nargs="?", metavar="ROOT", help="a root's name, or its file")
    show.add_argument("--system", help="whose pieces (default: this machine's)")
    show.add_argument("--json", action="store_true", help="one JSON object")
    update = add_command(
        commands, "update", "pin what the mirror has now, if its index is signed as it should be", _update
    )
    update.add_argument(
        "root", nargs="?", default="debian-12", metavar="ROOT", help="a root's name, or its file"
    )
    update.add_argument("-o", "--output", metavar="FILE", help="write there (default: where the root is)")
    update.add_argument(
        "--mirror",
        action="append",
        default=[],
        metavar="URL",
        help="an archive to read, http, https or file (default: those of apt's configuration)",
    )
    update.add_argument(
        "--keyring",
        metavar="FILE",
        help="the keys, one of which must have signed the index (default: Debian's)",
    )
    update.add_argument(
        "--insecure",
        action="store_true",
        help="take an index that is unsigned, out of date, or older than the pins",
    )
    diff = add_command(commands, "diff", "say which pieces changed, and what is built anew for it", _diff)
    diff.add_argument("old", metavar="OLD", help="a root's name, or its file")
    diff.add_argument("new", metavar="NEW", help="the same root's newer file, or its name")
    diff.add_argument("--json", action="store_true", help="one JSON object")


def run(options: argparse.Namespace) -> int:
    """Do what the subcommand says, without a daemon."""
    options.act(options)
    return 0


def _show(options: argparse.Namespace) -> None:
    if options.root is None:
        roots = [read(file_of(name)) for name in shipped()]
        _print([json.dumps(list(map(_as_json, roots)))] if options.json else map(_summary, roots))
        return
    pins = read(file_of(options.root))
    _print([json.dumps(_as_json(pins))] if options.json else _shown(pins, _system(pins, options.system)))


def _system(pins: Pins, asked: str | None) -> str:
    """The system that is asked for; else this machine's, else the first that the root has."""
    if asked is None:
        return local_system() if local_system() in pins.systems else next(iter(pins.systems), "")
    if asked not in pins.systems:
        raise UsageError(
            f"root {pins.name} has no pieces for '{asked}'", hint=f"it has: {', '.join(pins.systems)}"
        )
    return asked


def _summary(pins: Pins) -> str:
    groups = " ".join(group for group in pins.wanted if group.startswith("+"))
    return f"{pins.name}  {_suite(pins)}, for {', '.join(pins.systems)}, variants: {groups or 'none'}"


def _suite(pins: Pins) -> str:
    return f"{pins.suite} of {pins.release.get('date', 'no time')}"


def _shown(pins: Pins, system: str) -> Iterator[str]:
    """Each group with its sizes and its packages; what a variant shares with the base is the base's."""
    yield f"{pins.name}: {_suite(pins)}, for {system}"
    for group in pins.wanted:
        pieces = [piece for piece in pins.listed(system) if group in piece.groups]
        width = max((len(piece.name) for piece in pieces), default=0)
        yield f"{group}: {plural(len(pieces), 'piece')}, {size(sum(piece.size for piece in pieces))}"
        yield from (f"  {piece.name:<{width}}  {piece.version}" for piece in pieces)


def _as_json(pins: Pins) -> dict[str, Any]:
    return {
        "version": 1,
        "name": pins.name,
        "suite": pins.suite,
        "release": dict(pins.release),
        "pieces": {system: list(map(asdict, pins.listed(system))) for system in pins.systems},
    }


def _update(options: argparse.Namespace) -> None:
    try:
        import debian.deb822  # noqa: F401, PLC0415 - an extra, for this command only
    except ModuleNotFoundError as error:
        raise UsageError(
            f"a Debian archive is read by the library python-debian: no module '{error.name}'",
            hint="pip install 'fruix[roots]'",
        ) from error
    from fruix.cli.debian.mirror import Suite  # noqa: PLC0415
    from fruix.cli.debian.release import KEYRING  # noqa: PLC0415
    from fruix.cli.debian.update import text_of, updated  # noqa: PLC0415

    old = read(file_of(options.root))
    keyring = None if options.insecure else options.keyring or KEYRING
    new = updated(old, Suite(old.suite, tuple(options.mirror)), keyring)
    file = options.output or old.file
    try:
        with atomic_file(file) as opened:
            opened.write(text_of(new).encode())
    except OSError as error:
        raise UsageError(
            f"can't be written: {error.strerror}", where=file, hint="another file: -o FILE"
        ) from error
    _print(_difference(old, new))
    print(f"{file}: {_suite(new)}")


def _diff(options: argparse.Namespace) -> None:
    old, new = read(file_of(options.old)), read(file_of(options.new))
    if options.json:
        found = list(changes(old, new))
        anew = rebuilt(new.name, found, known_packages())
        _print([json.dumps({"version": 1, "changes": list(map(asdict, found)), "rebuilt": anew})])
    else:
        _print(_difference(old, new))


def _difference(old: Pins, new: Pins) -> Iterator[str]:
    """A line for each piece, once where it is alike in all systems; then what is built anew."""
    found: dict[tuple[str, str], list[str]] = {}
    changed = list(changes(old, new))
    for change in changed:
        found.setdefault((_in_words(change), " ".join(change.groups)), []).append(change.system)
    everywhere = sorted(old.systems.keys() | new.systems.keys())
    for (words, groups), systems in found.items():
        where = "" if systems == everywhere else f", {', '.join(systems)}"
        yield f"{words} ({groups}{where})"
    yield plural(len(found), "change") if found else "no piece changed"
    packages = known_packages()
    anew: dict[str, list[str]] = {}
    for system, names in rebuilt(new.name, changed, packages).items():
        which = "every package" if len(names) == len(packages) else " ".join(names)
        anew.setdefault(which, []).append(system)
    yield from (f"built anew for {', '.join(systems)}: {which}" for which, systems in anew.items() if which)


def _in_words(change: Change) -> str:
    if change.old is None:
        return f"+ {change.name} {change.new}"
    if change.new is None:
        return f"- {change.name} {change.old}"
    if change.old == change.new:
        return f"~ {change.name} {change.new}"
    return f"~ {change.name} {change.old} → {change.new}"


def _print(lines: Iterable[str]) -> None:
    colour = wants_colour(sys.stdout)
    for line in lines:
        style = _COLOURS.get(line[:1])
        text = harmless(line, colour=False)  # an index that nobody signed may hold anything
        print(styled(text, style, colour=colour) if style else text)
