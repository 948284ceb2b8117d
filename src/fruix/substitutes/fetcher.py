"""What asks binary caches, in a sandbox of its own: no store, and one writable directory.

Entry points, called by the sandbox instead of an exec: `look` reads small files (narinfo), many at
once; `fetch` brings one archive, unpacked. A place is an http(s) URL, or a file of a cache on this
machine, which is shown read-only. Nothing of what comes is judged here but its size: the daemon
takes answers and archives for what anybody could have sent.

Each answer is a line of JSON, `[CACHE, NAME, KIND, TEXT]`: `found` with the file's text, `none`
without, `problem` with what went wrong.
"""

from __future__ import annotations

import http.client
import json
import os
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import as_completed
from contextlib import contextmanager
from typing import Any, BinaryIO

from fruix.dataclass import dataclass
from fruix.downloads import progress
from fruix.downloads.opener import GiveUpOnMirrorError, announced_length, make_opener, normalised
from fruix.downloads.problems import ATTEMPTS, CONNECT_TIMEOUT, is_final, reason_of
from fruix.downloads.undelivered import Undelivered, write_report
from fruix.errors import FormatError
from fruix.model.hashes import Hash, hasher
from fruix.model.secrets import secrets_in, without, without_user
from fruix.model.text import printable
from fruix.substitutes.answers import FOUND, LONGEST, NOTHING, PROBLEM
from fruix.substitutes.compression import decompressed
from fruix.thread_pool import ThreadPool

FAILED = 1
_CHUNK = 1 << 16
_THREADS = 24  # of one look: connections at once
_PROGRESS_INTERVAL = 0.25
# Nothing of that name is there; some stores of objects answer so, too.
_ABSENT = frozenset({403, 404, 410})


def look(arguments: Mapping[str, Any]) -> int:
    """Read small files.

    Args:
        arguments: `questions` (each: number of the cache, name, place), `answers` (path to write),
            `ca_file`, `proxies` as for downloads.

    Returns:
        0; what went wrong is among the answers.
    """
    source = _Source.of(arguments)
    lock, broken = threading.Lock(), dict[int, str]()
    with open(arguments["answers"], "w", encoding="utf-8") as file, ThreadPool(_THREADS, "look") as pool:

        def answer(cache: int, name: str, place: str) -> None:
            kind, text = (PROBLEM, broken[cache]) if cache in broken else source.answer(place)
            if kind == PROBLEM:
                broken.setdefault(cache, text)  # its other files aren't asked for
            line = json.dumps([cache, name, kind, text])
            with lock:
                file.write(line + "\n")
                _say(name)  # that it goes on

        for one in as_completed([pool.submit(answer, *question) for question in arguments["questions"]]):
            one.result()
    return 0


def fetch(arguments: Mapping[str, Any]) -> int:
    """Bring one archive, unpacked.

    Args:
        arguments: `archives` (each: place, compression, bytes of the file or 0, its hash as SRI or
            ""; in order), `destination` (path to write), `report` (path for what became of those
            that did not deliver), `nar_hash` (of the archive, as SRI), `size` (bytes of the
            archive, 0: not known), `max_size` (0: any), `ca_file`, `proxies`.

    Returns:
        The exit status: 0 when `destination` holds an archive of that size.
    """
    source, wanted = _Source.of(arguments), Hash.parse(arguments["nar_hash"])
    most = arguments["size"] or arguments["max_size"]
    undelivered: list[Undelivered] = []
    for place, compression, size, digest in arguments["archives"]:
        file = _File(place, compression, size, Hash.parse(digest) if digest else None)
        why, got = source.deliver(file, arguments["destination"], most, wanted)
        if not why:
            return 0
        _say(f"{_shown(place)}: {why}")
        undelivered.append(Undelivered(_shown(place), why, got))
    write_report(arguments["report"], undelivered)
    return FAILED


@dataclass(frozen=True, slots=True)
class _File:
    """A compressed archive: where, how, and what is said of it."""

    place: str
    compression: str
    size: int
    hash: Hash | None


@dataclass(frozen=True, slots=True)
class _Source:
    """Opens places. `hidden`: texts that are never said."""

    opener: urllib.request.OpenerDirector
    hidden: Sequence[str]

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> _Source:
        proxies = arguments["proxies"]
        return cls(make_opener(arguments["ca_file"], proxies), secrets_in(proxies.values()))

    def answer(self, place: str) -> tuple[str, str]:
        """What there is at a place: the kind of the answer, and its text."""
        why = ""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                data = b"".join(_at_most(self._chunks(place), LONGEST))
            except Exception as error:  # noqa: BLE001 - a URL and a server can bring about anything
                if isinstance(error, FileNotFoundError) or _is_absent(error):
                    return NOTHING, ""
                why = self._reason(error)
                if attempt == ATTEMPTS or is_final(error):
                    break
                time.sleep(attempt - 1)
            else:
                return FOUND, data.decode("latin-1")
        return PROBLEM, why

    def deliver(self, file: _File, destination: str, most: int, wanted: Hash) -> tuple[str, str]:
        """Unpack an archive to `destination`; why it could not be done, or nothing, and a wrong hash."""
        why = ""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                got = self._unpack(file, destination, most, wanted)
            except Exception as error:  # noqa: BLE001 - as above
                why = self._reason(error)
                if attempt == ATTEMPTS or isinstance(error, FormatError) or is_final(error):
                    break
                _say(f"{_shown(file.place)}: {why}; trying again")
                time.sleep(attempt - 1)
            else:
                if got == wanted:
                    return "", ""
                return f"hash mismatch: expected {wanted.sri}, got {got.sri}", got.sri
        return why, ""

    def _unpack(self, file: _File, destination: str, most: int, wanted: Hash) -> Hash:
        """The hash of what was unpacked."""
        state = hasher(wanted.algorithm)
        packed = _checked(self._chunks(file.place, told=True), file)
        with open(destination, "wb") as target:
            for piece in _at_most(decompressed(packed, file.compression), most):
                target.write(piece)
                state.update(piece)
            for _ in packed:  # behind what was unpacked; its hash counts
                pass
        return Hash(wanted.algorithm, state.digest())

    def _chunks(self, place: str, *, told: bool = False) -> Iterator[bytes]:
        done, said = 0, 0.0
        with self._open(place) as (stream, total):
            while chunk := stream.read(_CHUNK):
                done += len(chunk)
                if told and time.monotonic() - said > _PROGRESS_INTERVAL:
                    said = time.monotonic()
                    _say(progress.line(done, total or 0, _shown(place)))
                yield chunk
        if total is not None and done != total:
            raise http.client.IncompleteRead(b"", total - done)

    @contextmanager
    def _open(self, place: str) -> Iterator[tuple[BinaryIO, int | None]]:
        """What to read, and how many bytes there should be."""
        if place.startswith("/"):
            with open(place, "rb") as file:
                yield file, os.fstat(file.fileno()).st_size
        else:
            with self.opener.open(normalised(place), timeout=CONNECT_TIMEOUT) as response:
                yield response, announced_length(response.headers)

    def _reason(self, error: Exception) -> str:
        return printable(without(reason_of(error), self.hidden))


def _is_absent(error: Exception) -> bool:
    return isinstance(error, urllib.error.HTTPError) and error.code in _ABSENT


def _checked(chunks: Iterable[bytes], file: _File) -> Iterator[bytes]:
    """The file's bytes; at their end their hash and number have to be what was said."""
    state, done = hasher(file.hash.algorithm if file.hash else "sha256"), 0
    for chunk in chunks:
        done += len(chunk)
        if file.size and done > file.size:
            raise GiveUpOnMirrorError(f"longer than the {file.size} bytes that it should have")
        state.update(chunk)
        yield chunk
    if file.size and done != file.size:
        raise GiveUpOnMirrorError(f"ends after {done} bytes, and should have {file.size}")
    if file.hash is not None and (got := Hash(file.hash.algorithm, state.digest())) != file.hash:
        raise GiveUpOnMirrorError(f"hash mismatch: expected {file.hash.sri}, got {got.sri}")


def _at_most(chunks: Iterable[bytes], most: int) -> Iterator[bytes]:
    done = 0
    for chunk in chunks:
        done += len(chunk)
        if most and done > most:
            raise GiveUpOnMirrorError(f"longer than {most} bytes")
        yield chunk


def _shown(place: str) -> str:
    return os.path.basename(place) if place.startswith("/") else printable(without_user(place))


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
