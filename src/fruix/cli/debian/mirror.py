"""A suite of an archive, read from the first of some mirrors that has it."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import lzma
import urllib.request
from collections.abc import Callable, Mapping
from io import BufferedIOBase, BytesIO
from typing import IO
from urllib.parse import unquote, urlsplit

from fruix.building.builders.mirrors import debian_mirrors
from fruix.cli.debian.release import ALL_THE_SAME, Release, parse
from fruix.downloads.opener import GiveUpOnMirrorError, make_opener, normalised
from fruix.downloads.problems import CONNECT_TIMEOUT, reason_of
from fruix.errors import FormatError, FruixError, UsageError

# Bytes, packed and unpacked; Debian's largest index of one architecture has 50 MB.
_LARGEST = 1 << 28
_ANOTHER = "another mirror: --mirror URL"
# What an index may be packed with; the first that the archive has is taken.
_FORMS: Mapping[str, Callable[[BytesIO], BufferedIOBase]] = {
    ".xz": lzma.LZMAFile,
    ".gz": lambda file: gzip.GzipFile(fileobj=file),
    "": lambda file: file,
}


class Suite:
    """One suite. `mirrors`: URLs of archives (http, https, file), by default those of apt's configuration.

    Raises:
        UsageError: there is none.
    """

    def __init__(self, name: str, mirrors: tuple[str, ...] = ()) -> None:
        self.name = name
        self._mirrors = mirrors or debian_mirrors()
        if not self._mirrors:
            raise UsageError("apt's configuration names no mirror here", where="/etc/apt", hint=_ANOTHER)
        self._opener = make_opener("", urllib.request.getproxies())

    def release(self, keyring: str | None) -> Release:
        """The index of indices, signed by a key of `keyring`; None: whoever signed it, and however old.

        Raises:
            UsageError: it is not to be trusted, or of another suite.
            FruixError: no mirror has it.
        """
        release = parse(self._read("InRelease"), keyring)
        if self.name not in release.suites:
            names = " or ".join(sorted(release.suites))
            raise UsageError(f"the mirror's index is of suite {names}, not of {self.name}", hint=_ANOTHER)
        if keyring and release.expired:
            raise UsageError(
                f"the mirror's index was valid until {release.valid_until}",
                hint=f"{_ANOTHER}; {ALL_THE_SAME}",
            )
        return release

    def packages(self, release: Release, architecture: str) -> str:
        """The text of the `Packages` file of the component main.

        Raises:
            UsageError: the suite has no such architecture.
            FormatError: the file isn't what the release says.
        """
        name = f"main/binary-{architecture}/Packages"
        form = next((form for form in _FORMS if name + form in release.indices), None)
        if form is None:
            raise UsageError(f"suite {self.name} has no packages for architecture '{architecture}'")
        sha256 = release.indices[name + form][0]
        # Under its hash it stays while a mirror changes.
        data = self._read(f"main/binary-{architecture}/by-hash/SHA256/{sha256}", name + form)
        if hashlib.sha256(data).hexdigest() != sha256:
            raise FormatError("its SHA-256 is not what InRelease says", where=name + form, hint=_ANOTHER)
        return _unpacked(data, form, name)

    def _read(self, *names: str) -> bytes:
        """The first of these files below the suite's directory that some mirror has."""
        tried = []
        for mirror in self._mirrors:
            for name in names:
                url = f"{mirror.rstrip('/')}/dists/{self.name}/{name}"
                try:
                    with self._open(url) as file:
                        return _limited(file)
                except (OSError, ValueError, http.client.HTTPException, GiveUpOnMirrorError) as error:
                    tried.append(f"{url}: {reason_of(error)}")
        raise FruixError(f"no mirror has {names[-1]} of {self.name}: {'; '.join(tried)}", hint=_ANOTHER)

    def _open(self, url: str) -> IO[bytes]:
        if url.startswith("file:"):
            return open(unquote(urlsplit(url).path), "rb")
        opened: IO[bytes] | None = self._opener.open(normalised(url), timeout=CONNECT_TIMEOUT)
        if opened is None:  # no handler takes its scheme
            raise GiveUpOnMirrorError("only http, https and file can be read")
        return opened


def _unpacked(data: bytes, form: str, name: str) -> str:
    try:
        return _limited(_FORMS[form](BytesIO(data))).decode()
    except (OSError, EOFError, lzma.LZMAError, ValueError) as error:
        raise FormatError(f"can't be unpacked: {error}", where=name + form) from error


def _limited(file: IO[bytes] | BufferedIOBase) -> bytes:
    data = file.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise ValueError(f"it has more than {_LARGEST} bytes")
    return data
