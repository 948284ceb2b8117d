"""Landlock scoping: no way to abstract sockets or processes outside, even where a namespace is shared."""

from __future__ import annotations

import ctypes
import functools
import struct

from fruix.sandbox.linux import libc

_CREATE_RULESET, _RESTRICT_SELF = "landlock_create_ruleset", "landlock_restrict_self"
_VERSION = 1
SCOPE_ABI = 6
_SCOPED = 1 | 2  # abstract sockets, signals


@functools.cache
def abi() -> int:
    """The kernel's Landlock version, 0 if it has none."""
    try:
        return libc.syscall(_CREATE_RULESET, None, 0, _VERSION)
    except OSError:
        return 0


def scope() -> bool:
    """Cut this process and its children off from the outside; False if the kernel can't (before 6.12)."""
    if abi() < SCOPE_ABI:
        return False
    attributes = ctypes.create_string_buffer(struct.pack("=QQQ", 0, 0, _SCOPED), 24)
    ruleset = libc.syscall(_CREATE_RULESET, attributes, 24, 0)
    libc.syscall(_RESTRICT_SELF, ruleset, 0)
    return True
