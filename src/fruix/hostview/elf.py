"""Reading ELF files of the host; see `model.elf`."""

from __future__ import annotations

import os

from fruix.model.elf import ElfFile, parse_elf

__all__ = ["ElfFile", "read_elf"]


def read_elf(path: str) -> ElfFile | None:
    """Read the file; None if it is no regular ELF file of a kind that is understood."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        return parse_elf(lambda size, offset: os.pread(descriptor, size, offset))
    finally:
        os.close(descriptor)
