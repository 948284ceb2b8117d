"""`file://` URLs, for downloads that see the whole machine: what the build user may read there."""

from __future__ import annotations

import http.client
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO
from urllib.parse import unquote, urlsplit

from fruix.dataclass import dataclass
from fruix.downloads.opener import GiveUpOnMirrorError

SCHEME = "file"


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file that is read like a server's answer."""

    file: IO[bytes]
    headers: http.client.HTTPMessage

    def read(self, size: int) -> bytes:
        """Read up to `size` bytes; none at the end."""
        return self.file.read(size)


@contextmanager
def opened(url: str) -> Iterator[LocalFile]:
    """The file that a URL names.

    Raises:
        GiveUpOnMirrorError: there is none that can be read; says why.
    """
    parts = urlsplit(url)
    if parts.netloc not in {"", "localhost"}:
        raise GiveUpOnMirrorError("names a host, and is to be a file of this machine")
    try:
        # A pipe that nobody writes to must not be waited for.
        descriptor = os.open(unquote(parts.path), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        raise GiveUpOnMirrorError(getattr(error, "strerror", None) or str(error)) from error
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise GiveUpOnMirrorError("is no regular file")
        headers = http.client.HTTPMessage()
        headers["Content-Length"] = str(status.st_size)
        yield LocalFile(file, headers)
