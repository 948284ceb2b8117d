"""What a binary cache says of itself: the file `nix-cache-info`."""

from __future__ import annotations

from fruix.dataclass import dataclass
from fruix.errors import FormatError

NAME = "nix-cache-info"
_DEFAULT_PRIORITY = 50


@dataclass(frozen=True, slots=True)
class CacheInfo:
    """Of which store its paths are, and how willingly it is asked: a lower number goes first."""

    directory: str
    priority: int = _DEFAULT_PRIORITY


def parse(data: bytes) -> CacheInfo:
    """Read the file.

    Raises:
        FormatError: it doesn't say the store, or its priority is no number.
    """
    values = {}
    for line in data.decode("utf-8", "replace").splitlines():
        name, colon, value = line.partition(":")
        if colon:
            values[name] = value.strip()
    directory, priority = values.get("StoreDir", ""), values.get("Priority", str(_DEFAULT_PRIORITY))
    if not directory.startswith("/"):
        raise FormatError(f"{NAME} doesn't say which store it is of")
    if not priority.isascii() or not priority.isdecimal() or len(priority) > 9:
        raise FormatError(f"{NAME} has the priority '{priority}', which is no number")
    return CacheInfo(directory.rstrip("/"), int(priority))
