"""The download itself: runs in its own sandbox, as a build user, with no store and nothing writable but one directory.

Entry point `main(arguments)`, called by the sandbox instead of an exec (the interpreter is already there). It tries the
URLs in order, each a few times, until one delivers contents with the declared hash, and writes them to `destination`. Standard output is
the build's log; progress goes there too, as `@ fruix progress DONE TOTAL URL` lines, at most a few a second.

Rules: only http and https, also after redirects; certificates are checked (the hash protects the contents, not what the
request gives away); the size is bounded; a wrong hash counts as a failure of that mirror and the next one is tried.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any, NoReturn

from fruix import __version__
from fruix.building.fetch.unpack import unpack
from fruix.errors import FormatError
from fruix.model.hashes import Hash, hasher

try:
    import ssl
except ImportError:  # some Pythons are built without
    HAS_SSL = False
else:
    HAS_SSL = True

CHUNK = 1 << 16
ATTEMPTS = 3
CONNECT_TIMEOUT = 30  # seconds without a byte from the server
PROGRESS_INTERVAL = 0.25
FAILED = 1
# Answers for which another attempt at the same mirror makes sense.
RETRY_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})


class _OnlyHttp(urllib.request.HTTPRedirectHandler):
    """Redirects may not leave http and https (the standard handler would also allow ftp)."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: Any,
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if not newurl.lower().startswith(("http://", "https://")):
            raise urllib.error.HTTPError(req.full_url, code, f"redirect to '{newurl}' refused", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _GiveUpOnMirrorError(Exception):
    """This URL will not deliver, however often it is asked."""


class _NoHttps(urllib.request.BaseHandler):
    """For a Python without `ssl`: https is refused by name, also after a redirect."""

    def https_open(self, _request: urllib.request.Request) -> NoReturn:
        raise _GiveUpOnMirrorError("this Python lacks the module ssl, so it can't use https")


def main(arguments: Mapping[str, Any]) -> int:
    """Fetch one file.

    Args:
        arguments: `urls` (plain, in order), `hash` (SRI, or "" if only the daemon can check it), `destination` (path to
            write), `executable`, `unpack` (it is an archive), `max_size` (bytes), `ca_file` (trusted certificates or ""),
            `proxies` (scheme → URL).

    Returns:
        The exit status: 0 when `destination` holds the declared contents.
    """
    wanted = Hash.parse(arguments["hash"]) if arguments["hash"] else None
    opener = _opener(arguments["ca_file"], arguments["proxies"])
    for url in arguments["urls"]:
        for attempt in range(ATTEMPTS):
            try:
                _fetch(opener, url, wanted, arguments["destination"], arguments["max_size"])
                if arguments["unpack"]:
                    _unpack(arguments["destination"], url, arguments["max_size"])
            except _GiveUpOnMirrorError as error:
                _say(f"{url}: {error}")
                break
            except (OSError, http.client.HTTPException) as error:
                final = attempt + 1 == ATTEMPTS or _is_final(error)
                _say(f"{url}: {error}{'' if final else '; trying again'}")
                if final:
                    break
                time.sleep(attempt)
            else:
                if arguments["executable"]:
                    os.chmod(arguments["destination"], 0o755)  # noqa: S103 - declared to be a program
                _say(f"fetched {url}")
                return 0
    _say(
        f"none of {len(arguments['urls'])} URL(s) delivered the file{f' with hash {wanted.sri}' if wanted else ''}"
    )
    return FAILED


def _unpack(destination: str, url: str, max_size: int) -> None:
    try:
        unpack(destination, url, max_size)
    except FormatError as error:
        raise _GiveUpOnMirrorError(str(error)) from error


def _opener(ca_file: str, proxies: Mapping[str, str]) -> urllib.request.OpenerDirector:
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(dict(proxies)),
        urllib.request.HTTPHandler(),
        _https(ca_file),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
        _OnlyHttp(),
    ):
        opener.add_handler(handler)
    opener.addheaders = [("User-Agent", f"fruix/{__version__}"), ("Accept-Encoding", "identity")]
    return opener


def _https(ca_file: str) -> urllib.request.BaseHandler:
    if not HAS_SSL:
        return _NoHttps()
    return urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=ca_file or None))


def _is_final(error: Exception) -> bool:
    """Whether asking the same mirror again is pointless."""
    if isinstance(error, urllib.error.HTTPError):
        return error.code not in RETRY_STATUS
    reason = getattr(error, "reason", error)
    if HAS_SSL and isinstance(reason, ssl.SSLCertVerificationError):
        return True
    return isinstance(reason, socket.gaierror | ConnectionRefusedError)


def _fetch(
    opener: urllib.request.OpenerDirector, url: str, wanted: Hash | None, destination: str, max_size: int
) -> None:
    state = hasher(wanted.algorithm if wanted else "sha256")
    done = 0
    said = 0.0
    with opener.open(url, timeout=CONNECT_TIMEOUT) as response, _fresh(destination) as file:
        total = int(response.headers.get("Content-Length") or 0)
        while chunk := response.read(CHUNK):
            done += len(chunk)
            if max_size and done > max_size:
                raise _GiveUpOnMirrorError(f"longer than the limit of {max_size} bytes")
            state.update(chunk)
            file.write(chunk)
            if time.monotonic() - said > PROGRESS_INTERVAL:
                said = time.monotonic()
                _say(f"@ fruix progress {done} {total} {url}")
    if total and done != total:
        raise http.client.IncompleteRead(b"", total - done)
    if wanted and (got := Hash(wanted.algorithm, state.digest())) != wanted:
        raise _GiveUpOnMirrorError(f"hash mismatch: expected {wanted.sri}, got {got.sri}")


@contextlib.contextmanager
def _fresh(path: str) -> Any:
    """A new file for each attempt: whatever an earlier one left is gone."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
    with os.fdopen(descriptor, "wb") as file:
        yield file


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
