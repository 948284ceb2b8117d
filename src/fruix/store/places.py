"""Where the environment says that a store's directories are; imports next to nothing.

The variables of the peers are honoured, so that one environment serves all clients.
"""

from __future__ import annotations

import os

from fruix.errors import UsageError
from fruix.model.base_name import DEFAULT_STORE

TYPE_CHECKING = False  # what `typing` has, without loading it
if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_STATE = "/frx/var/fruix"
DEFAULT_LOG = "/frx/var/log/fruix"

# field of `Layout` → variables that set it, the first that is there wins
VARIABLES: Mapping[str, tuple[str, ...]] = {
    "store": ("FRUIX_STORE_DIR", "NIX_STORE_DIR"),
    "state": ("FRUIX_STATE_DIR", "NIX_STATE_DIR", "GUIX_STATE_DIRECTORY"),
    "log": ("FRUIX_LOG_DIR", "NIX_LOG_DIR", "GUIX_LOG_DIRECTORY"),
}
_DEFAULTS: Mapping[str, str] = {"store": DEFAULT_STORE, "state": DEFAULT_STATE, "log": DEFAULT_LOG}


def directory(environment: Mapping[str, str], field: str) -> str:
    """One of the three directories; absolute, without a slash at the end.

    Raises:
        UsageError: a variable holds something that is no absolute, normal path.
    """
    for variable in VARIABLES[field]:
        value = environment.get(variable, "")
        if not value:
            continue
        path = value.rstrip("/")
        if not path.startswith("/") or os.path.normpath(path) != path:
            raise UsageError("not an absolute path in normal form", where=f"{variable}={value}")
        return path
    return _DEFAULTS[field]


def socket(state: str) -> str:
    """Where the daemon listens."""
    return f"{state}/daemon-socket/socket"


def log_file(log: str, base: str, *, check: bool = False) -> str:
    """The log of a derivation's last build, or of its last check, without an ending for how it is packed.

    A check has a log of its own.
    """
    return f"{log}/drvs/{base[:2]}/{base[2:]}{'.check' if check else ''}"
