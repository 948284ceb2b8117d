"""The daemon's configuration file (TOML): what an operator may decide, checked when it is read.

Every key is a row of `_KEYS`; an unknown key or a value of the wrong kind is an error that names
file and key, never a silent default. Sizes in bytes, times in seconds, 0 for no limit. Described in
docs/daemon.md; `etc/fruix.toml` is a sample.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, cast

from fruix.errors import FormatError, UsageError
from fruix.model.aterm import MAX_SIZE as MAX_DERIVATION_SIZE
from fruix.model.garbage import Keep
from fruix.model.named_keys import PublicKey
from fruix.model.nearest import nearest
from fruix.sandbox.networks import SETTINGS as NETWORK_SETTINGS

if TYPE_CHECKING:
    from fruix.building.settings import BuildSettings

DEFAULT_FILE = "/frx/etc/fruix.toml"
SOURCES_VARIABLE = "FRUIX_SOURCES"
FILE_VARIABLE = "FRUIX_CONF"
BIGGEST_UID = (1 << 32) - 2
SIZE_LIMIT = 1 << 62


def _share_of_memory() -> int:
    """A quarter of the machine's memory, but at least 512 MiB and at most 2 GiB."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min(max(total // 4, 512 << 20), 2 << 30)


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings. What is None or empty here is the default of the part that it is for."""

    durability: Literal["background", "strict"] = "background"
    deduplication: Literal["none", "large", "all"] = "large"
    deduplication_clones: bool = True
    allowed_users: tuple[str, ...] = ("*",)
    trusted_users: tuple[str, ...] = ("root",)
    max_connections: int = 1024
    max_connections_per_user: int = 256
    reserved_connections: int = 32
    max_request_size: int = 64 << 20
    request_timeout: int = 60
    max_client_memory: int = field(default_factory=_share_of_memory)
    max_client_memory_per_user: int = field(default_factory=lambda: _share_of_memory() // 2)
    reserved_client_memory: int = 256 << 20
    max_derivation_size: int = 16 << 20
    drain_on_stop: bool = False
    require_sigs: bool = True
    trusted_public_keys: tuple[str, ...] = ()
    secret_key_files: tuple[str, ...] = ()
    acl_file: str = "/frx/etc/acl"
    signing_key_file: str = "/frx/etc/signing-key.sec"
    keep_outputs: bool = False
    keep_derivations: bool = True
    collect_below: int = 0
    collect_until: int = 0
    building: Mapping[str, Any] = field(default_factory=dict)
    first_build_uid: int | None = None
    build_uid_count: int | None = None

    def for_one_user(self) -> Settings:
        """Return the settings for a user namespace: nobody else may connect.

        Other users have no numbers there, so none can be told from another.
        """
        return replace(self, allowed_users=(), trusted_users=())

    @property
    def keep(self) -> Keep:
        """What keeps paths alive in collections, unless a trusted client says otherwise."""
        return Keep(self.keep_outputs, self.keep_derivations)

    @property
    def build(self) -> BuildSettings:
        """The settings that the build half gets."""
        from fruix.building import settings  # noqa: PLC0415 - not needed to read a file

        values = dict(self.building)
        if self.first_build_uid is not None or self.build_uid_count is not None:
            first = settings.FIRST_BUILD_UID if self.first_build_uid is None else self.first_build_uid
            count = settings.BUILD_UID_COUNT if self.build_uid_count is None else self.build_uid_count
            values["uids"] = tuple(range(first, first + count))
        return settings.BuildSettings(**values)


def load(environment: Mapping[str, str], file: str | None = None) -> Settings:
    """The settings of this machine.

    Args:
        environment: `FRUIX_CONF` names the file, `FRUIX_SOURCES` more directories of sources
            (separated by colons).
        file: the file, if the command line names one.

    Raises:
        UsageError: not readable, no TOML, or a key or value that there is not.
    """
    named = file or environment.get(FILE_VARIABLE)
    settings = parse(_read(named or DEFAULT_FILE, needed=bool(named)), named or DEFAULT_FILE)
    more = tuple(part for part in environment.get(SOURCES_VARIABLE, "").split(":") if part)
    if not more:
        return settings
    sources = (*more, *settings.building.get("sources", ()))
    return replace(settings, building={**settings.building, "sources": sources})


def parse(text: str, file: str = DEFAULT_FILE) -> Settings:
    """The settings that a file's text holds.

    Raises:
        UsageError: no TOML, or a key or value that there is not.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"no TOML: {error}", where=file) from None
    return changed(Settings(), data, file)


def changed(settings: Settings, data: Mapping[str, Any], file: str) -> Settings:
    """Settings with those of `data` changed; a key or value that there is not is `file`'s error."""
    for key, value in data.items():
        if key not in _KEYS:
            raise UsageError(f"unknown setting '{key}'", where=file, hint=nearest(key, _KEYS))
        name, check = _KEYS[key]
        try:
            checked = check(value)
        except (TypeError, ValueError) as error:
            raise UsageError(f"setting '{key}': {error}", where=file) from None
        if name.startswith("building."):
            name, checked = "building", {**settings.building, name.removeprefix("building."): checked}
        settings = replace(settings, **{name: checked})
    return settings


def _read(file: str, *, needed: bool) -> str:
    try:
        with open(file, encoding="utf-8") as stream:
            return stream.read()
    except FileNotFoundError:
        if needed:
            raise UsageError("there is no such configuration file", where=file) from None
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"can't read the configuration: {error}", where=file) from error


def _number(least: int, most: int = SIZE_LIMIT) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise ValueError(f"{value!r} is not a whole number from {least} to {most}")
        return value

    return check


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is neither true nor false")
    return value


def _strings(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise ValueError(f"{value!r} is not a list of texts")
    return tuple(cast("list[str]", value))


def _absolute_names(value: Any) -> tuple[str, ...]:
    names = _strings(value)
    if relative := [name for name in names if not name.startswith("/")]:
        raise ValueError(f"'{relative[0]}' is not an absolute file name")
    return names


def _file(value: Any) -> str:
    return _absolute_names([value])[0]


def _ports(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is not a list of numbers")
    return tuple(map(_number(1, (1 << 16) - 1), value))


def _public_keys(value: Any) -> tuple[str, ...]:
    for text in (texts := _strings(value)):
        try:
            PublicKey.parse(text)
        except FormatError as error:
            raise ValueError(error.message) from None
    return texts


def _features(value: Any) -> tuple[str, ...]:
    """Words; some stand for abilities of a daemon, which this one doesn't have whatever its operator says."""
    for name in (names := _strings(value)):
        if name in _NOT_HERE:
            raise ValueError(f"'{name}' is nothing that this daemon can do")
        if len(name.split()) != 1 or name.strip() != name:
            raise ValueError(f"'{name}' is not a word")
    return names


def _variables(value: Any) -> tuple[str, ...]:
    for name in (names := _strings(value)):
        if not _VARIABLE.fullmatch(name):
            raise ValueError(f"'{name}' can't be the name of a variable")
    return names


_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NOT_HERE = frozenset({"uid-range", "recursive-nix", "ca-derivations"})


def _word(*words: str) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if value not in words:
            raise ValueError(f"{value!r} is none of {', '.join(words)}")
        return str(value)

    return check


def _table(check: Callable[[Any], Any]) -> Callable[[Any], Mapping[str, Any]]:
    def check_all(value: Any) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            raise TypeError(f"{value!r} is not a table")
        return {name: check(item) for name, item in value.items()}

    return check_all


# Key in the file → field (those of builds are `BuildSettings` fields) and check.
_KEYS: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "durability": ("durability", _word("background", "strict")),
    "deduplication": ("deduplication", _word("none", "large", "all")),
    "deduplication-clones": ("deduplication_clones", _truth),
    "allowed-users": ("allowed_users", _strings),
    "trusted-users": ("trusted_users", _strings),
    "max-connections": ("max_connections", _number(1, 1 << 16)),
    "max-connections-per-user": ("max_connections_per_user", _number(1, 1 << 16)),
    "reserved-connections": ("reserved_connections", _number(0, 1 << 16)),
    "max-request-size": ("max_request_size", _number(1 << 16, 1 << 32)),
    "request-timeout": ("request_timeout", _number(1, 1 << 20)),
    "max-client-memory": ("max_client_memory", _number(1 << 20)),
    "max-client-memory-per-user": ("max_client_memory_per_user", _number(1 << 20)),
    "reserved-client-memory": ("reserved_client_memory", _number(0)),
    "max-derivation-size": ("max_derivation_size", _number(1 << 16, MAX_DERIVATION_SIZE)),
    "drain-on-stop": ("drain_on_stop", _truth),
    "require-sigs": ("require_sigs", _truth),
    "trusted-public-keys": ("trusted_public_keys", _public_keys),
    "secret-key-files": ("secret_key_files", _absolute_names),
    "acl-file": ("acl_file", _file),
    "signing-key-file": ("signing_key_file", _file),
    "keep-outputs": ("keep_outputs", _truth),
    "keep-derivations": ("keep_derivations", _truth),
    "collect-below": ("collect_below", _number(0)),
    "collect-until": ("collect_until", _number(0)),
    "first-build-uid": ("first_build_uid", _number(1, BIGGEST_UID)),
    "build-uid-count": ("build_uid_count", _number(1, 1 << 16)),
    "max-jobs": ("building.max_jobs", _number(1, 1 << 16)),
    "max-jobs-per-user": ("building.max_jobs_per_user", _number(0, 1 << 16)),
    "cores": ("building.cores", _number(0, 1 << 16)),
    "timeout": ("building.timeout", _number(0)),
    "max-silent-time": ("building.max_silent_time", _number(0)),
    "timeout-limit": ("building.timeout_limit", _number(0)),
    "silent-time-limit": ("building.silent_time_limit", _number(0)),
    "max-log-size": ("building.max_log_size", _number(0)),
    "log-lines": ("building.log_lines", _number(0, 1 << 16)),
    "max-processes": ("building.max_processes", _number(0, 1 << 22)),
    "max-memory": ("building.max_memory", _number(0)),
    "max-file-size": ("building.max_file_size", _number(0)),
    "max-output-size": ("building.max_output_size", _number(0)),
    "max-output-files": ("building.max_output_files", _number(0)),
    "min-free": ("building.min_free", _number(0)),
    "min-free-files": ("building.min_free_files", _number(0)),
    "cache-failures": ("building.cache_failures", _truth),
    "max-download-size": ("building.max_download_size", _number(0)),
    "fixed-output-network": ("building.fixed_output_network", _word(*NETWORK_SETTINGS)),
    "loopback-ports": ("building.loopback_ports", _ports),
    "sources": ("building.sources", _absolute_names),
    "impure-variables": ("building.impure_variables", _variables),
    "system-features": ("building.system_features", _features),
    "extra-platforms": ("building.extra_platforms", _strings),
    "mirrors": ("building.mirrors", _table(_strings)),
    "max-prepared-view": ("building.max_prepared_view", _number(0)),
    "views": ("building.views", _table(_table(lambda value: value))),
}
