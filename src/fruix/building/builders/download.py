"""The download itself.

It runs in its own sandbox, as a build user, with no store and nothing writable but one directory.

Entry point `main(arguments)`, called by the sandbox instead of an exec (the interpreter is already
there). It tries the URLs in order, each a few times, until one delivers contents with the declared
hash, and writes them to `destination`. Standard output is the build's log; progress goes there too,
as `@ fruix progress DONE TOTAL URL` lines, at most a few a second. What became of URLs that did not
deliver is written to a file beside the result, as JSON, from which the daemon makes the reason
(`undelivered`).

Rules: only http and https, also after redirects, and files where builds see the whole machine;
certificates are checked (the hash protects the contents, not what the request gives away); the size
is bounded; a wrong hash counts as a failure of that mirror and the next one is tried. Whatever a URL
or a server's answer brings about is that URL's failure, with a reason in the log. Passwords of
proxies are never said.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

from fruix.dataclass import dataclass, field
from fruix.downloads import local_file, progress
from fruix.downloads.opener import GiveUpOnMirrorError, announced_length, make_opener, normalised
from fruix.downloads.problems import ATTEMPTS, CONNECT_TIMEOUT, is_final, reason_of
from fruix.downloads.undelivered import Undelivered, write_report
from fruix.errors import FormatError
from fruix.model.hashes import Hash, hasher
from fruix.model.secrets import secrets_in, without, without_user
from fruix.model.text import printable
from fruix.store.tree.delete import delete_tree
from fruix.store.tree.restore import restore

try:  # before the sandbox is sealed
    import lzma
except ImportError:  # some Pythons are built without
    lzma = None  # type: ignore[assignment]

CHUNK = 1 << 16
UNPACK_CHUNK = 1 << 18
PROGRESS_INTERVAL = 0.25
FAILED = 1


def main(arguments: Mapping[str, Any]) -> int:
    """Fetch one file.

    Args:
        arguments: `urls` (each with why it is not to be tried, or ""; in order), `hash` (SRI, or ""
            if only the daemon can check it), `destination` (path to write), `report` (path to write
            what became of the URLs that did not deliver), `executable`, `unpack` (it is an
            archive), `max_size` (bytes), `ca_file` (trusted certificates or ""), `proxies` (scheme
            → URL).

    Returns:
        The exit status: 0 when `destination` holds the declared contents.
    """
    wanted = Hash.parse(arguments["hash"]) if arguments["hash"] else None
    urls, proxies = arguments["urls"], arguments["proxies"]
    fetching = _Fetching(
        make_opener(arguments["ca_file"], proxies),
        wanted,
        arguments["destination"],
        arguments["max_size"],
        arguments["unpack"],
        secrets_in(proxies.values()),
    )
    for url, refusal in urls:
        if refusal:
            fetching.give_up(url, refusal)
        elif fetching.deliver(url):
            if arguments["executable"]:
                os.chmod(arguments["destination"], 0o755)  # noqa: S103 - declared to be a program
            _print(f"fetched {_shown(url)}")
            return 0
    write_report(arguments["report"], fetching.undelivered)
    _print(f"none of {len(urls)} URL(s) delivered the file{f' with hash {wanted.sri}' if wanted else ''}")
    return FAILED


class _WrongHashError(GiveUpOnMirrorError):
    """Other contents than declared; `got`: their hash, as SRI."""

    def __init__(self, text: str, got: str) -> None:
        super().__init__(text)
        self.got = got


@dataclass(frozen=True, slots=True)
class _Fetching:
    """What is the same for all URLs of a file.

    `hidden`: texts that are never said; `undelivered`: what became of URLs so far.
    """

    opener: urllib.request.OpenerDirector
    wanted: Hash | None
    destination: str
    max_size: int
    unpack: bool
    hidden: tuple[str, ...]
    undelivered: list[Undelivered] = field(default_factory=list)

    def deliver(self, url: str) -> bool:
        """Whether `url` has delivered; each failure is said."""
        for attempt in range(ATTEMPTS):
            try:
                self._fetch(url)
                if self.unpack:
                    self._unpack(url)
            except Exception as error:  # noqa: BLE001 - a URL and a server can bring about anything
                final = attempt + 1 == ATTEMPTS or is_final(error)
                if final:
                    self.give_up(url, reason_of(error), getattr(error, "got", ""))
                    return False
                self._say(url, f"{reason_of(error)}; trying again")
                time.sleep(attempt)
            else:
                return True
        return False

    def give_up(self, url: str, why: str, got: str = "") -> None:
        """This one doesn't deliver; `got`: the hash of what it has, as SRI."""
        self._say(url, why)
        self.undelivered.append(Undelivered(_shown(url), printable(without(why, self.hidden)), got))

    def _say(self, url: str, text: str) -> None:
        """What became of a URL, on one line."""
        _print(f"{_shown(url)}: {printable(without(text, self.hidden))}")

    def _fetch(self, url: str) -> None:
        state = hasher(self.wanted.algorithm if self.wanted else "sha256")
        done, said = 0, 0.0
        with self._opened(url) as response:
            total = announced_length(response.headers)
            self._check_size(total or 0)
            with _fresh(self.destination) as file:
                while chunk := response.read(CHUNK):
                    done += len(chunk)
                    self._check_size(done)
                    state.update(chunk)
                    file.write(chunk)
                    if time.monotonic() - said > PROGRESS_INTERVAL:
                        said = time.monotonic()
                        _print(progress.line(done, total or 0, _shown(url)))
        if total is not None and done != total:
            raise http.client.IncompleteRead(b"", total - done)
        self._check_hash(
            Hash(self.wanted.algorithm, state.digest()) if self.wanted else None, response.headers
        )

    def _opened(self, url: str) -> Any:
        if url.startswith(f"{local_file.SCHEME}:"):  # those that may not be have a refusal
            return local_file.opened(url)
        return self.opener.open(normalised(url), timeout=CONNECT_TIMEOUT)

    def _check_size(self, size: int) -> None:
        if self.max_size and size > self.max_size:
            raise GiveUpOnMirrorError(f"longer than the limit of {self.max_size} bytes")

    def _check_hash(self, got: Hash | None, headers: http.client.HTTPMessage) -> None:
        if got == self.wanted or got is None or self.wanted is None:
            return
        encoding = headers.get("Content-Encoding", "identity")
        how = (
            "" if encoding == "identity" else f" (sent in the encoding '{encoding}', which wasn't asked for)"
        )
        raise _WrongHashError(f"hash mismatch: expected {self.wanted.sri}, got {got.sri}{how}", got.sri)

    def _unpack(self, url: str) -> None:
        try:
            _unpack(self.destination, url, self.max_size)
        except FormatError as error:
            raise GiveUpOnMirrorError(str(error)) from error


@contextlib.contextmanager
def _fresh(path: str) -> Any:
    """A new file for each attempt.

    Whatever an earlier one left is gone, be it a half-unpacked tree.
    """
    parent = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        delete_tree(parent, os.fsencode(os.path.basename(path)))
    finally:
        os.close(parent)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
    with os.fdopen(descriptor, "wb") as file:
        yield file


def _shown(url: str) -> str:
    return printable(without_user(url))


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _unpack(path: str, url: str, max_size: int) -> None:
    """Replace the fetched archive (NAR, compressed with xz if its URL says so) by the tree in it.

    Args:
        path: what was fetched.
        url: where from; its ending tells the compression.
        max_size: bytes of archive; 0: no limit.

    Raises:
        FormatError: not an archive, or too long.
    """
    parent = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
    packed = path + ".packed"
    os.rename(path, packed)
    try:
        restore(_bounded(_archive(packed, url), max_size), parent, os.fsencode(os.path.basename(path)))
    finally:
        os.close(parent)
        os.unlink(packed)


def _archive(path: str, url: str) -> Iterator[bytes]:
    if not url.endswith(".xz"):
        with open(path, "rb") as file:
            yield from iter(lambda: file.read(UNPACK_CHUNK), b"")
        return
    if lzma is None:
        raise FormatError("this Python can't read xz", hint="install one with the module lzma")
    try:
        with lzma.open(path) as stream:
            yield from iter(lambda: stream.read(UNPACK_CHUNK), b"")
    except (lzma.LZMAError, EOFError) as error:
        raise FormatError(f"not an xz file: {error}") from error


def _bounded(chunks: Iterator[bytes], limit: int) -> Iterator[bytes]:
    done = 0
    for chunk in chunks:
        done += len(chunk)
        if limit and done > limit:
            raise FormatError(f"unpacks to more than the limit of {limit} bytes")
        yield chunk
