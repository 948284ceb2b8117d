"""Nix's configuration as settings of this daemon: `nix.conf`, what it includes, and Nix's variables.

Files and lines are read as Nix reads them: `NIX_CONF_DIR/nix.conf` (else in `/etc/nix`), then the
user's files (`NIX_USER_CONF_FILES`, else `nix/nix.conf` below the XDG directories), then `NIX_CONFIG`;
of two lines the later one counts. What a name means is a row below: a setting of Fruix's, or why it
changes nothing. Names and forms are those of Nix 2.34.8; its own defaults are not taken over.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from fruix.daemon.setting_checks import caches, features
from fruix.dataclass import dataclass, field
from fruix.errors import UsageError

DIRECTORY_VARIABLE = "NIX_CONF_DIR"
_DIRECTORY = "/etc/nix"
_EXTRA = "extra-"
_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_TRUTH = {**dict.fromkeys(("true", "yes", "1"), True), **dict.fromkeys(("false", "no", "0"), False)}


@dataclass(slots=True)
class NixConfiguration:
    """What was read so far.

    Attributes:
        changes: settings by the keys of Fruix's own file.
        notes: settings that are understood and change nothing here, and why.
        unknown: names that Nix doesn't know either.
    """

    changes: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    unknown: set[str] = field(default_factory=set)

    def set(self, name: str, value: str) -> None:
        """Take one line.

        Raises:
            UsageError: a value that the setting can't have.
        """
        plain = _ALIASES.get(name, name)
        base = _ALIASES.get(plain.removeprefix(_EXTRA), plain.removeprefix(_EXTRA))
        if plain in _MEANINGS:
            self._change(plain, value, [])
        elif base in _LISTS and plain.startswith(_EXTRA):
            key, _ = _MEANINGS[base]
            self._change(base, value, self.changes.get(key, _LISTS[base]()))
        elif why := _WITHOUT_EFFECT.get(plain):
            if value:
                self.notes.append(f"setting '{name}' has no effect: {why}")
        elif plain not in _OF_CLIENTS and base not in _OF_CLIENTS:
            self.unknown.add(name)

    def _change(self, name: str, value: str, before: list[str]) -> None:
        key, read = _MEANINGS[name]
        try:
            found = read(value)
        except (KeyError, ValueError):
            raise UsageError(f"setting '{name}' has invalid value '{value}'") from None
        if isinstance(found, list):
            found = [*before, *self._usable(name, found)]
        self.changes[key] = found

    def _usable(self, name: str, words: list[str]) -> Iterator[str]:
        """The words that this daemon can do something with; the others are noted."""
        for word in words:
            try:
                _CHECKS.get(name, list)([word])
            except ValueError as error:
                self.notes.append(f"'{word}' in setting '{name}' has no effect: {error}")
            else:
                yield word


def _number(value: str) -> int:
    unit = _UNITS.get(value[-1:], 0)
    return int(value[:-1]) * unit if unit else int(value)


def _jobs(value: str) -> int:
    return os.cpu_count() or 1 if value == "auto" else _number(value)


def _machines(value: str) -> str:
    """As in Nix, a file that isn't there lists none."""
    return "" if value.startswith("@") and not os.path.exists(value[1:]) else value


def _pairs(value: str) -> dict[str, str]:
    return dict(word.split("=", 1) for word in value.split())


def _machine_features() -> list[str]:
    from fruix.building.builders.platforms import features as offered  # noqa: PLC0415 - the build half
    from fruix.building.settings import BuildSettings  # noqa: PLC0415

    return [*offered(BuildSettings())]


# Setting of Nix → key of Fruix's, and how its value is read.
_MEANINGS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "allowed-users": ("allowed-users", str.split),
    "auto-optimise-store": ("deduplication", lambda value: "all" if _TRUTH[value] else "none"),
    "builders": ("builders", _machines),
    "builders-use-substitutes": ("builders-use-substitutes", _TRUTH.__getitem__),
    "compress-build-log": ("log-compression", lambda value: "bzip2" if _TRUTH[value] else "none"),
    "cores": ("cores", _number),
    "experimental-features": ("experimental-features", str.split),
    "extra-platforms": ("extra-platforms", str.split),
    "fallback": ("fallback", _TRUTH.__getitem__),
    "impure-env": ("impure-env", _pairs),
    "keep-derivations": ("keep-derivations", _TRUTH.__getitem__),
    "keep-outputs": ("keep-outputs", _TRUTH.__getitem__),
    "log-lines": ("log-lines", _number),
    "max-build-log-size": ("max-log-size", _number),
    "max-free": ("collect-until", _number),
    "max-jobs": ("max-jobs", _jobs),
    "max-silent-time": ("max-silent-time", _number),
    "max-substitution-jobs": ("max-substitution-jobs", _number),
    "min-free": ("collect-below", _number),
    "narinfo-cache-negative-ttl": ("narinfo-cache-negative-ttl", _number),
    "narinfo-cache-positive-ttl": ("narinfo-cache-positive-ttl", _number),
    "post-build-hook": ("post-build-hook", str),
    "pre-build-hook": ("pre-build-hook", str),
    "require-sigs": ("require-sigs", _TRUTH.__getitem__),
    "sandbox": ("sandbox", {**_TRUTH, "relaxed": True}.__getitem__),
    "sandbox-paths": ("sandbox-paths", str.split),
    "secret-key-files": ("secret-key-files", str.split),
    "substitute": ("substitute", _TRUTH.__getitem__),
    "substituters": ("substituters", str.split),
    "system-features": ("system-features", str.split),
    "timeout": ("timeout", _number),
    "trusted-public-keys": ("trusted-public-keys", str.split),
    "trusted-substituters": ("trusted-substituters", str.split),
    "trusted-users": ("trusted-users", str.split),
}
# Lists, to which `extra-NAME` adds: what there is before.
_LISTS: Mapping[str, Callable[[], list[str]]] = {
    **{name: list for name, (_, read) in _MEANINGS.items() if read is str.split},
    "allowed-users": lambda: ["*"],
    "trusted-users": lambda: ["root"],
    "system-features": _machine_features,
}
# What words of lists have to be for this daemon.
_CHECKS: Mapping[str, Callable[[Any], Any]] = {
    "substituters": caches,
    "trusted-substituters": caches,
    "system-features": features,
}
_ALIASES: Mapping[str, str] = {
    "binary-cache-public-keys": "trusted-public-keys",
    "binary-caches": "substituters",
    "build-chroot-dirs": "sandbox-paths",
    "build-compress-log": "compress-build-log",
    "build-cores": "cores",
    "build-fallback": "fallback",
    "build-keep-log": "keep-build-log",
    "build-max-jobs": "max-jobs",
    "build-max-log-size": "max-build-log-size",
    "build-max-silent-time": "max-silent-time",
    "build-sandbox-paths": "sandbox-paths",
    "build-timeout": "timeout",
    "build-use-chroot": "sandbox",
    "build-use-sandbox": "sandbox",
    "build-use-substitutes": "substitute",
    "gc-keep-derivations": "keep-derivations",
    "gc-keep-outputs": "keep-outputs",
    "substitution-max-jobs": "max-substitution-jobs",
    "trusted-binary-caches": "trusted-substituters",
}
_WITHOUT_EFFECT: Mapping[str, str] = {
    "allowed-impure-host-deps": "'sandbox-paths' shows builders paths of this machine",
    "auto-allocate-uids": "builders run as numbers of the daemon's own, which no user or group has",
    "build-dir": "build directories are in the state directory",
    "build-hook": "the daemon itself sends builds to other machines",
    "build-users-group": "builders run as numbers of the daemon's own, which no user or group has",
    "diff-hook": "the differences that a check finds are in its log",
    "keep-build-log": "logs are always kept",
    "sandbox-build-dir": "it is '/build'",
    "sandbox-fallback": "a build that can't have its sandbox fails",
    "store": "the store is the one that the variables name",
    "system": "the system is this machine's",
}
# Known to Nix, and nothing that a daemon needs to be told of.
_NAMES_OF_CLIENTS = """
abort-on-warn accept-flake-config access-tokens allow-dirty allow-dirty-locks
allow-import-from-derivation allow-new-privileges allow-symlinked-store
allow-unsafe-native-code-during-evaluation allowed-uris always-allow-substitutes bash-prompt
bash-prompt-prefix bash-prompt-suffix binary-caches-parallel-connections build-poll-interval
build-impersonate-linux-26 commit-lock-file-summary commit-lockfile-summary connect-timeout
debugger-on-trace debugger-on-warn download-attempts
download-buffer-size download-speed enforce-determinism env-keep-derivations
eval-attrset-update-layer-rhs-threshold eval-cache eval-profile-file eval-profiler
eval-profiler-frequency eval-system external-builders filter-syscalls
flake-registry fsync-metadata fsync-store-paths gc-reserved-space hashed-mirrors
http-connections http2 id-count ignore-try ignored-acls impersonate-linux-26 json-log-path
keep-env-derivations keep-failed keep-going lint-absolute-path-literals lint-short-path-literals
lint-url-literals max-call-depth min-free-check-interval nar-buffer-size narinfo-cache-meta-ttl
netrc-file nix-path nix-shell-always-looks-for-shell-nix
nix-shell-shebang-arguments-relative-to-script plugin-files preallocate-contents print-missing
pure-eval repeat require-drop-supplementary-groups restrict-eval run-diff-hook
sandbox-dev-shm-size show-trace ssl-cert-file stalled-download-timeout start-id
sync-before-registering tarball-ttl trace-function-calls trace-import-from-derivation
trace-verbose trust-tarballs-from-git-forges upgrade-nix-store-path-url use-case-hack
use-cgroups use-registries use-sqlite-wal use-xdg-base-directories user-agent-suffix warn-dirty
warn-large-path-threshold warn-short-path-literals
"""
_OF_CLIENTS = frozenset(_NAMES_OF_CLIENTS.split())


def read(environment: Mapping[str, str]) -> NixConfiguration:
    """Read the files that there are, and `NIX_CONFIG`.

    Raises:
        UsageError: a line that is none, a value that is none, a file that can't be read or is included
            and missing.
    """
    configuration = NixConfiguration()
    first = f"{environment.get(DIRECTORY_VARIABLE) or _DIRECTORY}/nix.conf"
    for file in (first, *reversed(_user_files(environment))):
        _read_file(configuration, file, needed=False)
    _take(configuration, environment.get("NIX_CONFIG", ""), "NIX_CONFIG")
    return configuration


def _user_files(environment: Mapping[str, str]) -> list[str]:
    """The user's files, of which the first counts most."""
    if (named := environment.get("NIX_USER_CONF_FILES")) is not None:
        return [file for file in named.split(":") if file]
    home = environment.get("XDG_CONFIG_HOME") or f"{environment.get('HOME', '')}/.config"
    others = (environment.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")
    return [f"{directory}/nix/nix.conf" for directory in (home, *others)]


def _read_file(configuration: NixConfiguration, file: str, *, needed: bool, included_from: str = "") -> None:
    try:
        with open(file, encoding="utf-8", errors="surrogateescape") as stream:
            text = stream.read()
    except (FileNotFoundError, NotADirectoryError):
        if needed:
            raise UsageError(f'file "{file}" included from "{included_from}" not found') from None
    except OSError as error:
        raise UsageError(f"can't read the configuration: {error}", where=file) from error
    else:
        _take(configuration, text, file)


def _take(configuration: NixConfiguration, text: str, file: str) -> None:
    for line in text.splitlines():
        match line.partition("#")[0].split():
            case []:
                continue
            case ["include" | "!include" as word, name]:
                target = os.path.join(os.path.dirname(file), name)
                _read_file(configuration, target, needed=word == "include", included_from=file)
            case [name, "=", *words]:
                _set(configuration, name, words, file)
            case _:
                raise UsageError(f"syntax error in configuration line '{line}' in \"{file}\"")


def _set(configuration: NixConfiguration, name: str, words: Iterable[str], file: str) -> None:
    try:
        configuration.set(name, " ".join(words))
    except UsageError as error:
        raise UsageError(error.message, where=file) from None
