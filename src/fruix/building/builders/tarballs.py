"""Tarballs that code of the daemon's unpacks as a build user.

Compressions: gzip, bzip2, xz, as far as this Python has them.
"""

from __future__ import annotations

import tarfile
from contextlib import suppress
from typing import Literal

# Imported by tarfile when it needs them, which is too late in a sandbox.
for _module in ("bz2", "gzip", "lzma", "zlib"):
    with suppress(ImportError):
        __import__(_module)


def unpack(file: str, directory: str, mode: Literal["r:*", "r:gz"] = "r:*") -> None:
    """Put what a tarball holds into a directory; what would lie elsewhere is refused.

    `mode`: `r:*` takes every compression.

    Raises:
        Exception: it is none, or ends early; each compression has errors of its own.
    """
    with tarfile.open(file, mode, encoding="utf-8") as archive:
        safely = {"filter": "tar"} if hasattr(tarfile, "tar_filter") else {}
        archive.extractall(directory, **safely)  # type: ignore[arg-type]  # noqa: S202 - in a sandbox
