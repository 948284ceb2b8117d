"""How far a transfer has come, as a line of a sandbox's output."""

from __future__ import annotations

_MARK = "@ fruix progress "


def line(done: int, total: int, what: str) -> str:
    """The line for `done` of `total` bytes (0: not known) of an URL."""
    return f"{_MARK}{done} {total} {what}"


def parse(text: bytes) -> tuple[int, int, str] | None:
    """Bytes done, bytes in all (0: unknown) and what is transferred, or None for an ordinary line."""
    if not text.startswith(_MARK.encode()):
        return None
    parts = text[len(_MARK) :].decode("ascii", "replace").split(" ", 2)
    if len(parts) != 3 or not (parts[0].isdecimal() and parts[1].isdecimal()):
        return None
    return int(parts[0][:18]), int(parts[1][:18]), parts[2]
