"""From what a client set (operation 19) to what its builds get, with the rules on who may set what.

Everybody may set what concerns only the builds asked for; what would change how the daemon
isolates, whom it believes or where it gets things from is for trusted users only: of that kind,
those set whose signatures count and with what results are signed (`client_trust`), for their own
session. Not being able to is said as a
warning, once per setting; it is no error, since clients send their whole configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from fruix.building.settings import BuildSettings
from fruix.daemon.client_trust import OF_TRUSTED_USERS
from fruix.daemon.setting_checks import read_machines
from fruix.dataclass import replace
from fruix.errors import FormatError, UsageError
from fruix.model.build_options import MOST_ROUNDS, BuildOptions, Requester
from fruix.model.buildresult import BuildMode
from fruix.model.events import Message
from fruix.model.garbage import Keep
from fruix.model.machines import Machine
from fruix.protocol.activities import Level
from fruix.protocol.options import ANY_JOBS, MEANINGFUL, ClientOptions
from fruix.protocol.wire import FEATURE, Context

BIGGEST = (1 << 31) - 1
MOST_DIGITS = 20


def _number(name: str, value: str) -> int:
    if not value.isascii() or not value.isdecimal() or len(value) > MOST_DIGITS or int(value) > BIGGEST:
        raise UsageError(
            f"configuration setting `{name}' should have an integer value", hint="0 means no limit"
        )
    return int(value)


def _boolean(name: str, value: str) -> bool:
    if value not in {"true", "false"}:
        raise UsageError(f"configuration option `{name}' should be either `true' or `false', not `{value}'")
    return value == "true"


def _repetitions(name: str, value: str) -> int:
    """Clients say how often a build is repeated, after the first time."""
    again = _number(name, value)
    if again >= MOST_ROUNDS:
        raise UsageError(f"configuration setting `{name}' should be less than {MOST_ROUNDS}")
    return again + 1


# Setting → the field of `BuildOptions` that it is, and how its text is read. Guix's names begin
# with `build-`.
_SETTINGS: Mapping[str, tuple[str, Callable[[str, str], Any]]] = {
    "timeout": ("timeout", _number),
    "max-silent-time": ("max_silent_time", _number),
    "max-build-log-size": ("max_log_size", _number),
    "cores": ("cores", _number),
    "max-jobs": ("max_jobs", _number),
    "keep-failed": ("keep_failed", _boolean),
    "keep-going": ("keep_going", _boolean),
    "repeat": ("rounds", _repetitions),
    "build-timeout": ("timeout", _number),
    "build-max-silent-time": ("max_silent_time", _number),
    "build-max-log-size": ("max_log_size", _number),
    "build-cores": ("cores", _number),
    "build-max-jobs": ("max_jobs", _number),
    "build-repeat": ("rounds", _repetitions),
}


def _file(name: str, value: str) -> str:
    if value and not value.startswith("/"):
        raise UsageError(f"configuration setting `{name}' should be an absolute file name")
    return value


def _variables(name: str, value: str) -> Mapping[str, str]:
    try:
        return dict(word.split("=", 1) for word in value.split())
    except ValueError:
        raise UsageError(f"configuration setting `{name}' should be a list of NAME=VALUE") from None


# Likewise, for trusted users.
_SETTINGS_FOR_TRUSTED: Mapping[str, tuple[str, Callable[[str, str], Any]]] = {
    "post-build-hook": ("post_build_hook", _file),
    "impure-env": ("impure_env", _variables),
    "builders-use-substitutes": ("machines_substitute", _boolean),
}

# Settings of collections: the field of `Keep` that each is. For trusted users.
_KEEP: Mapping[str, str] = {
    "keep-outputs": "outputs",
    "keep-derivations": "derivations",
    "gc-keep-outputs": "outputs",
    "gc-keep-derivations": "derivations",
}

# Settings that clients send as a matter of course, and that mean nothing here or concern the client
# alone.
_IGNORED = frozenset(
    {
        "ssh-auth-sock", "experimental-features", "plugin-files", "poll-interval", "connect-timeout",
        "log-lines", "substitute", "substituters", "extra-substituters", "fallback",
        "multiplexed-build-output",
        "print-extended-build-trace", "user-name", "terminal-columns", "locale", "substitute-urls",
        "warn-dirty", "show-trace", "allow-dirty", "flake-registry", "nix-path", "pure-eval", "eval-cache",
        "use-xdg-base-directories",
    }
)  # fmt: skip


_DEDUPLICATION = "auto-optimise-store"
_MACHINES = "builders"
# What trusted users alone may set.
_FOR_TRUSTED = OF_TRUSTED_USERS | {_DEDUPLICATION, _MACHINES} | _SETTINGS_FOR_TRUSTED.keys()


def says_rounds(options: ClientOptions) -> bool:
    """Whether the client has said how often each derivation is built."""
    return not options.overrides.keys().isdisjoint({"repeat", "build-repeat"})


def wants_deduplication(options: ClientOptions) -> bool:
    """Whether equal files of what the client has registered shall be one."""
    value = options.overrides.get(_DEDUPLICATION)
    return value is not None and _boolean(_DEDUPLICATION, value)


def machines(options: ClientOptions) -> tuple[Machine, ...] | None:
    """The machines that a client names; None: it names none, and the operator's are meant.

    The daemon reads files for it and runs `ssh`, so that this is for trusted users.

    Raises:
        UsageError: what it says is no list of machines.
    """
    if not options.offload:
        return ()
    if (text := options.overrides.get(_MACHINES)) is None:
        return None
    try:
        return read_machines(text)
    except (FormatError, OSError) as error:
        raise UsageError(f"setting '{_MACHINES}': {error}") from None


def warnings(options: ClientOptions, *, trusted: bool) -> Iterator[Message]:
    """What a client is told about settings that have no effect."""
    for name in sorted(options.overrides):
        if (
            name not in _SETTINGS
            and name not in _IGNORED
            and not (trusted and name in {*_FOR_TRUSTED, *_KEEP})
        ):
            reason = (
                "it can't be set by clients"
                if trusted
                else "it is a restricted setting and you are not a trusted user"
            )
            yield Message(
                Level.WARN, f"warning: ignoring the client-specified setting '{name}', because {reason}"
            )


def too_much(wished: BuildOptions, allowed: BuildSettings) -> Iterator[str]:
    """Warnings about times that are longer than the operator allows."""
    for name, value, limit in (
        ("timeout", wished.timeout, allowed.timeout_limit),
        ("max-silent-time", wished.max_silent_time, allowed.silent_time_limit),
    ):
        if limit and value is not None and not 0 < value <= limit:
            asked = f"{value} seconds" if value else "no limit"
            yield f"warning: '{name}' is {limit} seconds at most here; asked for: {asked}"


def kept(options: ClientOptions, former: Mapping[str, str]) -> ClientOptions:
    """What a session keeps, with `former` settings that still hold: those that mean nothing are forgotten."""
    known = {name: value for name, value in options.overrides.items() if name in MEANINGFUL}
    return replace(options, overrides={**former, **known})


def check(options: ClientOptions) -> None:
    """Refuse values that no setting takes.

    Raises:
        UsageError: with the setting's name.
    """
    _overrides(options, trusted=True)
    wants_deduplication(options)

    keep(options, Keep(), trusted=True)


def keep(options: ClientOptions, default: Keep, *, trusted: bool) -> Keep:
    """Return what keeps paths alive in a collection that a client asks for.

    Raises:
        UsageError: a value that is none.
    """
    wished = {
        _KEEP[name]: _boolean(name, value)
        for name, value in options.overrides.items()
        if trusted and name in _KEEP
    }
    return replace(default, **wished)


def build_options(
    options: ClientOptions,
    context: Context,
    mode: BuildMode,
    requester: Requester | None = None,
    *,
    trusted: bool = False,
) -> BuildOptions:
    """Return the options of one build request.

    A time or core count of 0 leaves the operator's; an override says 0 and means it.

    Clients of other worlds get differing results kept only if they ask for it, as they are used to.
    """
    chosen = BuildOptions(
        contract=context.dialect.value,
        mode=mode,
        keep_going=options.keep_going,
        keep_failed=options.keep_failed,
        keep_differing=FEATURE in context.features,
        cores=options.cores or None,
        max_silent_time=options.max_silent_time or None,
        max_jobs=None if options.max_jobs == ANY_JOBS else options.max_jobs,
        requester=requester,
    )
    return replace(chosen, **_overrides(options, trusted=trusted))


def _overrides(options: ClientOptions, *, trusted: bool) -> dict[str, Any]:
    settings = {**_SETTINGS, **_SETTINGS_FOR_TRUSTED} if trusted else _SETTINGS
    known = {name: value for name, value in options.overrides.items() if name in settings}
    return {settings[name][0]: settings[name][1](name, value) for name, value in known.items()}
