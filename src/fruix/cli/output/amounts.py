"""Durations, sizes and numbers of things, for people. Imports nothing."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """A duration for people: `0.4s`, `12s`, `3m07s`, `2h05m`."""
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes}m{rest:02d}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02d}m"


def size(count: int) -> str:
    """A number of bytes in binary units with one decimal."""
    if count < 1024:
        return f"{count} B"
    power = min((count.bit_length() - 1) // 10, 4)
    return f"{count / 1024**power:.1f} {' KMGT'[power]}iB"


def plural(count: int, noun: str) -> str:
    """A number and a noun: `1 build`, `2 builds`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
