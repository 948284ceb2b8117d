"""From what a client set (operation 19) to what its builds get, with the rules on who may set what.

Everybody may set what concerns only the builds asked for; what would change how the daemon isolates, whom it believes or where
it gets things from is for trusted users only, and nothing of that kind can be set by clients in this version. Not being
able to is said as a warning, once per setting; it is no error, since clients send their whole configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from fruix.build.settings import BuildOptions
from fruix.errors import UsageError
from fruix.model.buildresult import BuildMode
from fruix.model.events import Message
from fruix.protocol.messages import Level
from fruix.protocol.options import ClientOptions
from fruix.protocol.wire import Dialect

BIGGEST = (1 << 31) - 1


def _number(name: str, value: str) -> int:
    if not value.isascii() or not value.isdecimal() or int(value) > BIGGEST:
        raise UsageError(
            f"configuration setting `{name}' should have an integer value", hint="0 means no limit"
        )
    return int(value)


def _boolean(name: str, value: str) -> bool:
    if value not in {"true", "false"}:
        raise UsageError(f"configuration option `{name}' should be either `true' or `false', not `{value}'")
    return value == "true"


# Setting → the field of `BuildOptions` that it is, and how its text is read. Guix's names begin with `build-`.
_SETTINGS: Mapping[str, tuple[str, Callable[[str, str], Any]]] = {
    "timeout": ("timeout", _number),
    "max-silent-time": ("max_silent_time", _number),
    "cores": ("cores", _number),
    "keep-failed": ("keep_failed", _boolean),
    "keep-going": ("keep_going", _boolean),
    "build-timeout": ("timeout", _number),
    "build-max-silent-time": ("max_silent_time", _number),
    "build-cores": ("cores", _number),
}

# Settings that clients send as a matter of course, and that mean nothing here or concern the client alone.
_IGNORED = frozenset(
    {
        "ssh-auth-sock", "experimental-features", "plugin-files", "max-jobs", "build-max-jobs", "poll-interval", "connect-timeout",
        "log-lines", "substitute", "substituters", "extra-substituters", "fallback", "builders", "multiplexed-build-output",
        "print-extended-build-trace", "build-repeat", "user-name", "terminal-columns", "locale", "substitute-urls",
        "warn-dirty", "show-trace", "allow-dirty", "flake-registry", "nix-path", "pure-eval", "eval-cache", "use-xdg-base-directories",
    }
)  # fmt: skip


def warnings(options: ClientOptions, *, trusted: bool) -> Iterator[Message]:
    """What a client is told about settings that have no effect."""
    for name in sorted(options.overrides):
        if name not in _SETTINGS and name not in _IGNORED:
            reason = (
                "it can't be set by clients"
                if trusted
                else "it is a restricted setting and you are not a trusted user"
            )
            yield Message(
                Level.WARN, f"warning: ignoring the client-specified setting '{name}', because {reason}"
            )


def check(options: ClientOptions) -> None:
    """Refuse values that are none.

    Raises:
        UsageError: with the setting's name.
    """
    _overrides(options)


def build_options(options: ClientOptions, dialect: Dialect, mode: BuildMode) -> BuildOptions:
    """The options of one build request. A field of 0 leaves the operator's value; an override says 0 and means it."""
    chosen = BuildOptions(
        contract=dialect.value,
        mode=mode,
        keep_going=options.keep_going,
        keep_failed=options.keep_failed,
        cores=options.cores or None,
        max_silent_time=options.max_silent_time or None,
    )
    return replace(chosen, **_overrides(options))


def _overrides(options: ClientOptions) -> dict[str, Any]:
    known = {name: value for name, value in options.overrides.items() if name in _SETTINGS}
    return {_SETTINGS[name][0]: _SETTINGS[name][1](name, value) for name, value in known.items()}
