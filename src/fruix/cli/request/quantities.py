"""Sizes and durations as words of the command line: `500M`, `1.5GiB`, `30d`, `12h`."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping

from fruix.late import late_pattern

_WORD = late_pattern(r"([0-9]+(?:\.[0-9]+)?) *([A-Za-z]*)")
_SIZES: Mapping[str, int] = {"": 1, "B": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_TIMES: Mapping[str, int] = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def size_of(text: str) -> int:
    """Bytes, or K, M, G, T for powers of 1024 (also as KiB, KB).

    Raises:
        ArgumentTypeError: no size.
    """
    match = _WORD.fullmatch(text)
    unit = re.sub("(?i)(?<=.)i?b$", "", match[2]).upper() if match else ""
    if match is None or unit not in _SIZES:
        raise argparse.ArgumentTypeError(f"'{text}' is no size; sizes look like 500M or 1.5G")
    return round(float(match[1]) * _SIZES[unit])


def duration_of(text: str) -> int:
    """Seconds, from a number with `s`, `m`, `h`, `d` or `w`.

    Raises:
        ArgumentTypeError: no duration.
    """
    match = _WORD.fullmatch(text)
    if match is None or match[2] not in _TIMES:
        raise argparse.ArgumentTypeError(f"'{text}' is no duration; durations look like 30d or 12h")
    return round(float(match[1]) * _TIMES[match[2]])
