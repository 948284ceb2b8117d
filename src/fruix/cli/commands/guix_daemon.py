"""`fruix guix-daemon`: the daemon, with the options of Guix's own; also as a program called `guix-daemon`.

What an option means is a row below: a setting of the configuration file, or why it has no effect
here. Options are stronger than the file. Names and defaults of options are guix-daemon 1.5.0's.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any

from fruix import __version__
from fruix.dataclass import dataclass

_YES = ("yes", "no")


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an option sets: the key of the configuration file, and the value from the option's own."""

    key: str
    value: Callable[[Any], Any]


def _is_yes(word: str) -> bool:
    return word == "yes"


def _always(value: Any) -> Callable[[Any], Any]:
    return lambda _given: value


# Option → how its value is read, its help, what it means.
_NUMBERS: Mapping[tuple[str, ...], tuple[str, str]] = {
    ("-c", "--cores"): ("cores", "what each build is told to use; 0: all"),
    ("-M", "--max-jobs"): ("max-jobs", "builds at once"),
    ("--max-silent-time",): ("max-silent-time", "seconds without output after which a build is ended"),
    ("--timeout",): ("timeout", "seconds after which a build is ended"),
    ("--rounds",): ("rounds", "how often each derivation is built, with the same result each time"),
}
_MEANINGS: Mapping[str, Meaning] = {
    **{words[-1].lstrip("-"): Meaning(key, int) for words, (key, _) in _NUMBERS.items()},
    "gc-keep-outputs": Meaning("keep-outputs", _is_yes),
    "gc-keep-derivations": Meaning("keep-derivations", _is_yes),
    "cache-failures": Meaning("cache-failures", _always(value=True)),
    "disable-deduplication": Meaning("deduplication", _always("none")),
    "no-substitutes": Meaning("substitute", _always(value=False)),
    "substitute-urls": Meaning("substituters", str.split),
    "log-compression": Meaning("log-compression", str),
}
# Options without a value, and what they do.
_SWITCHES: Mapping[str, str] = {
    "cache-failures": "remember builds that failed",
    "disable-deduplication": "leave equal files of the store as they are",
    "no-substitutes": "fetch nothing from substitute servers",
}
# Options that are understood, and why they change nothing.
_WITHOUT_EFFECT: Mapping[str, str] = {
    "disable-chroot": "builds always run in a sandbox",
    "impersonate-linux-2.6": "no builder needs it any more",
    "lose-logs": "logs are always kept",
    "no-build-hook": "nothing is offloaded",
    "no-offload": "nothing is offloaded",
    "debug": "errors are always told in full",
}
_WITHOUT_EFFECT_VALUED: Mapping[str, str] = {
    "build-users-group": "builders run as numbers of the daemon's own, which no user or group has",
    "chroot-directory": "what builders see of this machine is a host view's affair",
    "discover": "substitute servers are those that are named",
    "isolate-host-loopback": "the setting 'loopback-ports' lists the ports that fetchers may reach",
    "system": "the system is this machine's",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add guix-daemon's options."""
    parser.add_argument(
        "--listen",
        action="append",
        default=[],
        metavar="SOCKET|HOST[:PORT]",
        help="where to listen: a file name, or (unencrypted) a TCP port, 44146 by default; several times",
    )
    for words, (key, text) in _NUMBERS.items():
        parser.add_argument(*words, type=int, metavar="N", help=f"{text} (setting '{key}')")
    for name in ("gc-keep-outputs", "gc-keep-derivations"):
        parser.add_argument(
            f"--{name}",
            nargs="?",
            const="yes",
            choices=_YES,
            help=f"setting '{name.removeprefix('gc-')}'",
        )
    parser.add_argument(
        "--substitute-urls",
        metavar="URLS",
        help="substitute servers, separated by blanks (setting 'substituters')",
    )
    parser.add_argument(
        "--log-compression",
        choices=("gzip", "bzip2", "none"),
        help="how finished logs are packed (setting 'log-compression')",
    )
    for name, text in _SWITCHES.items():
        parser.add_argument(f"--{name}", action="store_true", help=text)
    for name, why in _WITHOUT_EFFECT.items():
        parser.add_argument(f"--{name}", action="store_true", help=f"no effect: {why}")
    for name, why in _WITHOUT_EFFECT_VALUED.items():
        parser.add_argument(f"--{name}", nargs="?", const="", metavar="X", help=f"no effect: {why}")
    parser.add_argument("-V", "--version", action="version", version=f"guix-daemon (Fruix) {__version__}")


def run(options: argparse.Namespace) -> int:
    """Run the daemon until it is told to end."""
    from fruix.daemon.asked import Asked  # noqa: PLC0415 - as in `daemon`
    from fruix.daemon.main import main  # noqa: PLC0415 - as in `daemon`

    notes = [f"option '--{name}' has no effect: {why}" for name, why in _without_effect(options)]
    return main(Asked(listen=options.listen, changes=changes(options), notes=notes))


def changes(options: argparse.Namespace) -> dict[str, Any]:
    """Settings that the options change, as in the configuration file."""
    return {
        meaning.key: meaning.value(given)
        for name, meaning in _MEANINGS.items()
        if (given := _given(options, name)) is not None and given is not False
    }


def _without_effect(options: argparse.Namespace) -> list[tuple[str, str]]:
    every = {**_WITHOUT_EFFECT, **_WITHOUT_EFFECT_VALUED}
    return [(name, why) for name, why in every.items() if _given(options, name) not in {None, False}]


def _given(options: argparse.Namespace, name: str) -> Any:
    return getattr(options, name.replace("-", "_").replace(".", "_"), None)
