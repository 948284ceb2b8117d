"""The flags of `fruix build` that become `BuildOptions`: what for, and what it may take."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from fruix.errors import FormatError
from fruix.model.build_options import BuildOptions, SubstituteWishes
from fruix.model.buildresult import BuildMode
from fruix.model.machines import Machine, parse_machines


def _number(least: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isascii() or not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of at least {least}")
        return int(text)

    return read


def _machines(name: str) -> tuple[Machine, ...]:
    if not name:
        return ()
    try:
        with open(name.removeprefix("@"), encoding="utf-8") as stream:
            return parse_machines(stream.read(), "")
    except (OSError, UnicodeDecodeError) as error:
        raise argparse.ArgumentTypeError(f"can't read '{name}': {error}") from None
    except FormatError as error:
        raise argparse.ArgumentTypeError(f"{name}: {error}") from None


# Flags, metavar, least value, help; all default to what the daemon is set to.
_NUMBERS: tuple[tuple[tuple[str, ...], str, int, str], ...] = (
    (
        ("-j", "--max-jobs"),
        "N",
        0,
        "builds of this request at once (0: only what has to be built on this machine)",
    ),
    (("-c", "--cores"), "N", 0, "processors that each build may use (0: all)"),
    (("--timeout",), "SECONDS", 0, "end a build that takes longer (0: never)"),
    (("--max-silent-time",), "SECONDS", 0, "end a build that says nothing for so long (0: never)"),
    (("--max-log-size",), "BYTES", 1, "end a build that writes more to its log"),
)

_SWITCHES: tuple[tuple[tuple[str, ...], str], ...] = (
    (("-k", "--keep-going"), "after a failure, build what does not depend on it"),
    (("-K", "--keep-failed"), "keep a copy of what a failed build left"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the flags; `build_options` and `mode_of` read them."""
    for flags, metavar, least, help_text in _NUMBERS:
        parser.add_argument(*flags, metavar=metavar, type=_number(least), help=help_text)
    for flags, help_text in _SWITCHES:
        parser.add_argument(*flags, action="store_true", help=help_text)
    purposes = parser.add_mutually_exclusive_group()
    purposes.add_argument(
        "--check", action="store_true", help="build again what is valid, and compare; nothing is replaced"
    )
    purposes.add_argument(
        "--repair",
        action="store_true",
        help="build again what is damaged or missing, and put it in its place",
    )
    parser.add_argument(
        "--builders",
        metavar="FILE",
        type=_machines,
        help="send builds to the machines in a list like Nix's: URI systems key jobs speed features mandatory"
        " (empty: to none)",
    )
    parser.add_argument(
        "--builders-use-substitutes",
        action="store_true",
        help="have these machines fetch what a build needs from their own binary caches, where those have it",
    )
    parser.add_argument(
        "--fallback",
        action="store_true",
        help="build what a binary cache or another machine promised and didn't deliver",
    )
    parser.add_argument(
        "--rounds",
        metavar="N",
        type=_number(1),
        default=1,
        help="build N times, with the same result each time",
    )


def build_options(options: argparse.Namespace) -> BuildOptions:
    """The options that the flags stand for; what isn't given is left to the daemon."""
    return BuildOptions(
        mode=mode_of(options),
        keep_going=options.keep_going,
        keep_failed=options.keep_failed,
        cores=options.cores,
        timeout=options.timeout,
        max_silent_time=options.max_silent_time,
        max_jobs=options.max_jobs,
        max_log_size=options.max_log_size,
        rounds=options.rounds,
        machines=options.builders,
        machines_substitute=options.builders_use_substitutes or None,
        substitutes=SubstituteWishes(fallback=options.fallback or None),
    )


def mode_of(options: argparse.Namespace) -> BuildMode:
    """The build's mode: normal, a check or a repair."""
    if options.check:
        return BuildMode.CHECK
    return BuildMode.REPAIR if options.repair else BuildMode.NORMAL
