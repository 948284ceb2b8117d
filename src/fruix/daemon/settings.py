"""The daemon's configuration file (TOML): what an operator may decide, checked when it is read.

Every key is a row of `_KEYS`; an unknown key or a value of the wrong kind is an error that names
file and key, never a silent default. Sizes in bytes, times in seconds, 0 for no limit. Described in
docs/daemon.md; `etc/fruix.toml` is a sample.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from fruix.daemon.setting_checks import (
    absolute_names,
    caches,
    environment,
    features,
    file,
    helper,
    machines,
    number,
    ports,
    public_keys,
    sandbox_paths,
    strings,
    table,
    truth,
    variables,
    web_address,
    word,
)
from fruix.dataclass import dataclass, field, replace
from fruix.errors import UsageError
from fruix.model.aterm.grammar import MAX_SIZE as MAX_DERIVATION_SIZE
from fruix.model.build_options import MOST_ROUNDS
from fruix.model.garbage import Keep
from fruix.model.nearest import nearest
from fruix.sandbox.networks import SETTINGS as NETWORK_SETTINGS

if TYPE_CHECKING:
    from fruix.building.settings import BuildSettings

DEFAULT_FILE = "/frx/etc/fruix.toml"
SOURCES_VARIABLE = "FRUIX_SOURCES"
FILE_VARIABLE = "FRUIX_CONF"
BIGGEST_UID = (1 << 32) - 2


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
    trusts_own_user: bool = True
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
    rounds: int = 1
    keep_outputs: bool = False
    keep_derivations: bool = True
    collect_below: int = 0
    collect_until: int = 0
    building: Mapping[str, Any] = field(default_factory=dict)
    first_build_uid: int | None = None
    build_uid_count: int | None = None

    def for_one_user(self, *, trusted: bool = True) -> Settings:
        """Return the settings for a user namespace: nobody else may connect.

        Other users have no numbers there, so none can be told from another. Builders without a sandbox
        run as that user. `trusted`: whether that user is.
        """
        own_user = self.building.get("sandbox") is False
        building = {**self.building, "own_user": own_user}
        return replace(self, allowed_users=(), trusted_users=(), trusts_own_user=trusted, building=building)

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
        if asked := values.get("substitute_helper"):
            values["substitute_helper"] = replace(asked, acl_file=self.acl_file)
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
    text = _read(named or DEFAULT_FILE, needed=bool(named))
    settings = parse(text, named or DEFAULT_FILE) if text else Settings()
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
    import tomllib  # noqa: PLC0415 - seldom needed

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


# Key in the file → field (those of builds are `BuildSettings` fields) and check.
_KEYS: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "durability": ("durability", word("background", "strict")),
    "deduplication": ("deduplication", word("none", "large", "all")),
    "deduplication-clones": ("deduplication_clones", truth),
    "allowed-users": ("allowed_users", strings),
    "trusted-users": ("trusted_users", strings),
    "max-connections": ("max_connections", number(1, 1 << 16)),
    "max-connections-per-user": ("max_connections_per_user", number(1, 1 << 16)),
    "reserved-connections": ("reserved_connections", number(0, 1 << 16)),
    "max-request-size": ("max_request_size", number(1 << 16, 1 << 32)),
    "request-timeout": ("request_timeout", number(1, 1 << 20)),
    "max-client-memory": ("max_client_memory", number(1 << 20)),
    "max-client-memory-per-user": ("max_client_memory_per_user", number(1 << 20)),
    "reserved-client-memory": ("reserved_client_memory", number(0)),
    "max-derivation-size": ("max_derivation_size", number(1 << 16, MAX_DERIVATION_SIZE)),
    "drain-on-stop": ("drain_on_stop", truth),
    "require-sigs": ("require_sigs", truth),
    "trusted-public-keys": ("trusted_public_keys", public_keys),
    "secret-key-files": ("secret_key_files", absolute_names),
    "acl-file": ("acl_file", file),
    "signing-key-file": ("signing_key_file", file),
    "keep-outputs": ("keep_outputs", truth),
    "keep-derivations": ("keep_derivations", truth),
    "collect-below": ("collect_below", number(0)),
    "collect-until": ("collect_until", number(0)),
    "first-build-uid": ("first_build_uid", number(1, BIGGEST_UID)),
    "build-uid-count": ("build_uid_count", number(1, 1 << 16)),
    "max-jobs": ("building.max_jobs", number(1, 1 << 16)),
    "max-jobs-per-user": ("building.max_jobs_per_user", number(0, 1 << 16)),
    "rounds": ("rounds", number(1, MOST_ROUNDS)),
    "cores": ("building.cores", number(0, 1 << 16)),
    "timeout": ("building.timeout", number(0)),
    "max-silent-time": ("building.max_silent_time", number(0)),
    "timeout-limit": ("building.timeout_limit", number(0)),
    "silent-time-limit": ("building.silent_time_limit", number(0)),
    "max-log-size": ("building.max_log_size", number(0)),
    "log-compression": ("building.log_compression", word("bzip2", "gzip", "none")),
    "log-lines": ("building.log_lines", number(0, 1 << 16)),
    "max-processes": ("building.max_processes", number(0, 1 << 22)),
    "max-memory": ("building.max_memory", number(0)),
    "max-file-size": ("building.max_file_size", number(0)),
    "max-output-size": ("building.max_output_size", number(0)),
    "max-output-files": ("building.max_output_files", number(0)),
    "min-free": ("building.min_free", number(0)),
    "min-free-files": ("building.min_free_files", number(0)),
    "cache-failures": ("building.cache_failures", truth),
    "max-download-size": ("building.max_download_size", number(0)),
    "substitute": ("building.substitute", truth),
    "substituters": ("building.substituters", caches),
    "trusted-substituters": ("building.trusted_substituters", caches),
    "substitute-helper": ("building.substitute_helper", helper),
    "fallback": ("building.fallback", truth),
    "max-substitution-jobs": ("building.max_substitution_jobs", number(1, 1 << 10)),
    "narinfo-cache-positive-ttl": ("building.narinfo_cache_positive_ttl", number(0)),
    "narinfo-cache-negative-ttl": ("building.narinfo_cache_negative_ttl", number(0)),
    "fixed-output-network": ("building.fixed_output_network", word(*NETWORK_SETTINGS)),
    "loopback-ports": ("building.loopback_ports", ports),
    "sources": ("building.sources", absolute_names),
    "source-archive": ("building.source_archive", web_address),
    "impure-variables": ("building.impure_variables", variables),
    "impure-env": ("building.impure_env", environment),
    "pre-build-hook": ("building.pre_build_hook", file),
    "post-build-hook": ("building.post_build_hook", file),
    "sandbox-paths": ("building.sandbox_paths", sandbox_paths),
    "sandbox": ("building.sandbox", truth),
    "experimental-features": ("building.experimental_features", strings),
    "system-features": ("building.system_features", features),
    "extra-platforms": ("building.extra_platforms", strings),
    "builders": ("building.machines", machines),
    "builders-use-substitutes": ("building.machines_substitute", truth),
    "mirrors": ("building.mirrors", table(strings)),
    "max-prepared-view": ("building.max_prepared_view", number(0)),
    "views": ("building.views", table(table(lambda value: value))),
}
