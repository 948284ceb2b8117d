"""What an operator may decide about builds; what clients may ask for is in `model.build_options`.

The daemon fills `BuildSettings` from its configuration file. Times are seconds, sizes bytes; 0
means "no limit".
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from fruix.dataclass import dataclass, field
from fruix.model.machines import Machine
from fruix.sandbox import networks

# The pool of build users: numeric ids alone, no entry in the host's passwd is needed or wanted.
FIRST_BUILD_UID = 35001
BUILD_UID_COUNT = 32

# In `impure_variables`: all that a derivation names, as in Nix.
EVERY_VARIABLE = "*"
_PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy")
PROXY_VARIABLES = (*_PROXIES, *(name.upper() for name in _PROXIES))
"""The variables that name proxies, as download tools and packages of Nix and Guix know them."""


@dataclass(frozen=True, slots=True)
class HelperSettings:
    """A program that fetches substitutes as `guix substitute` does.

    Attributes:
        command: the file, and words before the helper's own.
        files: files and directories of this machine that it can read.
        options: settings of its own, as guix-daemon hands them on.
        acl_file: whose signatures count.
    """

    command: tuple[str, ...]
    files: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    acl_file: str = ""


@dataclass(frozen=True, slots=True)
class BuildSettings:
    """The operator's side.

    Attributes:
        cores: what builders are told they may use; 0: as many as there are, or what their contract says.
        timeout_limit, silent_time_limit: the most that a client may choose for `timeout` and
            `max_silent_time`.
        max_jobs_per_user: how many builds, and how many downloads, may run at once that one user
            alone waits for.
        system_features: what derivations may require; None: see `platforms.features`.
        loopback_ports: of this machine, that the built-in fetchers may reach.
        impure_variables: which of the daemon's variables fixed-output derivations get if they name
            them; `*`: all.
        substituters: addresses of the binary caches that are asked, in order.
        trusted_substituters: others that any user may name.
        substitute_helper: asked for what they don't have; None: nobody is.
        fallback: build what a cache promised and didn't deliver.
        max_substitution_jobs: how many paths are fetched at once.
        narinfo_cache_positive_ttl, narinfo_cache_negative_ttl: how long it is believed that a cache
            has a path, or has not.
        log_compression: a row of `log_file.ENDINGS`.
        source_archive: address of an archive with Software Heritage's interface that is asked for
            commits that no URL gives; empty: none is.
        impure_env: variables besides, with their values.
        pre_build_hook: a program that is run before each build, and says what its builder sees
            besides; empty: none.
        post_build_hook: a program that is run after each build; empty: none.
        sandbox_paths: what builders without a view see of this machine, as Nix writes it:
            `TARGET[=SOURCE][?]`.
        extra_platforms: systems that this machine builds for besides its own.
        own_user: builders run as the daemon's own user.
        experimental_features: those of Nix that are on: `ca-derivations`, `impure-derivations`,
            `dynamic-derivations` and `recursive-nix` have effects.
        machines: others that builds are sent to.
        machines_substitute: they fetch what is needed from their own binary caches, as far as these
            have it.
        sandbox: whether builders see only what is declared; else they see everything of the host that
            their user may, and write where that may.
    """

    max_jobs: int = field(default_factory=lambda: os.cpu_count() or 1)
    max_jobs_per_user: int = 0
    cores: int = 0
    uids: tuple[int, ...] = tuple(range(FIRST_BUILD_UID, FIRST_BUILD_UID + BUILD_UID_COUNT))
    timeout: int = 86400
    max_silent_time: int = 3600
    timeout_limit: int = 0
    silent_time_limit: int = 0
    max_log_size: int = 1 << 30
    max_processes: int = 4096
    max_memory: int = 0
    max_file_size: int = 64 << 30
    max_output_files: int = 1 << 22
    max_output_size: int = 256 << 30
    min_free: int = 64 << 20
    min_free_files: int = 1024
    cache_failures: bool = False
    log_lines: int = 25
    log_compression: str = "bzip2"
    max_download_size: int = 64 << 30
    fixed_output_network: str = networks.AUTO
    loopback_ports: tuple[int, ...] = ()
    max_prepared_view: int = 2 << 30
    views: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    mirrors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    source_archive: str = ""
    system_features: tuple[str, ...] | None = None
    extra_platforms: tuple[str, ...] = ()
    machines: tuple[Machine, ...] = ()
    machines_substitute: bool = False
    sandbox: bool = True
    own_user: bool = False
    experimental_features: tuple[str, ...] = ()
    substitute: bool = True
    substituters: tuple[str, ...] = ()
    trusted_substituters: tuple[str, ...] = ()
    substitute_helper: HelperSettings | None = None
    fallback: bool = False
    max_substitution_jobs: int = 8
    narinfo_cache_positive_ttl: int = 86400
    narinfo_cache_negative_ttl: int = 3600
    impure_variables: tuple[str, ...] = PROXY_VARIABLES
    impure_env: Mapping[str, str] = field(default_factory=dict)
    sandbox_paths: tuple[str, ...] = ()
    pre_build_hook: str = ""
    post_build_hook: str = ""
