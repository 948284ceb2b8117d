"""Which FreeBSD a jail claims to be: that of the files in it, not that of the kernel, which may be newer.

`uname -r` feeds `config.guess` and thus what builds make. The base system says its release in two
of its files; a jail without a base system in it keeps the kernel's.
"""

from __future__ import annotations

import os
import re

from fruix.dataclass import dataclass
from fruix.late import late_pattern

_VERSION_SCRIPT = "bin/freebsd-version"
_PARAMETERS = "usr/include/sys/param.h"
# The kernel takes 31 bytes with the NUL.
_NAME = late_pattern(rb'^USERLAND_VERSION="([\x21-\x7e]{1,30})"$', re.MULTILINE)
_DATE = late_pattern(rb"^#define\s+__FreeBSD_version\s+([0-9]{6,8})\b", re.MULTILINE)
_LIMIT = 1 << 16


@dataclass(frozen=True, slots=True)
class Release:
    """`name` as `uname -r` says (`13.2-RELEASE`), `date` as `kern.osreldate` does (1302001)."""

    name: str
    date: int


def release_in(root: str) -> Release | None:
    """The release of the base system below a directory."""
    name = _NAME.search(_read(f"{root}/{_VERSION_SCRIPT}"))
    date = _DATE.search(_read(f"{root}/{_PARAMETERS}"))
    return Release(name[1].decode(), int(date[1])) if name and date else None


def _read(path: str) -> bytes:
    """The beginning of a file; nothing if there is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    with open(descriptor, "rb") as file:
        return file.read(_LIMIT)
