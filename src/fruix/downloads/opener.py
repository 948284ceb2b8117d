"""HTTP for the downloader: the standard library's, with what it leaves open closed.

Only http and https, also after redirects; sizes that a server announces are read strictly; what
comes of a URL that is none, of a redirect to one, or of an answer that is no HTTP is an exception
of some kind, which the caller takes for the URL's failure.
"""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import quote, urlsplit, urlunsplit

from fruix import __version__
from fruix.late import late_pattern

try:
    import ssl
except ImportError:  # some Pythons are built without
    HAS_SSL = False
    CERTIFICATE_ERRORS: tuple[type[Exception], ...] = ()
else:
    HAS_SSL = True
    CERTIFICATE_ERRORS = (ssl.SSLCertVerificationError,)

_LENGTH = late_pattern(r"[0-9]{1,18}")  # less than 2**63
# What a URL may consist of, and what is quoted already.
_SAFE = "!#$%&'()*+,/:;=?@[]~"


class GiveUpOnMirrorError(Exception):
    """This URL will not deliver, however often it is asked."""


def normalised(url: str) -> str:
    """`url` in ASCII: other characters of the path quoted, those of the host in IDNA's form.

    Raises:
        GiveUpOnMirrorError: it is none that can be asked; says why.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        if not host:
            raise GiveUpOnMirrorError("the URL names no host")
        if "@" in parts.netloc:
            raise GiveUpOnMirrorError("names and passwords in URLs are not supported")
        ascii_host = host if ":" in host else host.encode("idna").decode("ascii")
        path, query = (quote(part, safe=_SAFE) for part in (parts.path, parts.query))
    except (ValueError, UnicodeError) as error:
        raise GiveUpOnMirrorError(f"malformed URL: {error}") from error
    if not ascii_host.isprintable() or " " in ascii_host:
        raise GiveUpOnMirrorError("malformed URL: its host has characters that no name has")
    place = f"[{ascii_host}]" if ":" in ascii_host else ascii_host
    return urlunsplit((parts.scheme, place if port is None else f"{place}:{port}", path, query, ""))


def announced_length(headers: http.client.HTTPMessage) -> int | None:
    """How many bytes the body has, or None if that is not said.

    Raises:
        GiveUpOnMirrorError: it is not said by one decimal number.
    """
    if headers.get_all("Transfer-Encoding"):  # which goes before
        return None
    said = {part.strip() for line in headers.get_all("Content-Length") or () for part in line.split(",")}
    if not said:
        return None
    if len(said) > 1 or not _LENGTH.fullmatch(next(iter(said))):
        raise GiveUpOnMirrorError(f"malformed Content-Length: {', '.join(sorted(said))}")
    return int(said.pop())


class _Response(http.client.HTTPResponse):
    """Sizes of chunks are no less strict.

    A negative one would have the rest read into memory at once.
    """

    def _read_next_chunk_size(self) -> int:
        size: int = super()._read_next_chunk_size()  # type: ignore[misc]
        if size < 0:
            raise GiveUpOnMirrorError(f"malformed size of a chunk: {size}")
        return size


class _Connection(http.client.HTTPConnection):
    response_class = _Response


class _Http(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_Connection, req)


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
        fp.close()  # its body, which may have no end, would be read before the new URL is asked
        return super().redirect_request(req, fp, code, msg, headers, normalised(newurl))


class _NoHttps(urllib.request.BaseHandler):
    """https is refused by name, also after a redirect."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def https_open(self, _request: urllib.request.Request) -> NoReturn:
        raise GiveUpOnMirrorError(self._reason)


def make_opener(ca_file: str, proxies: Mapping[str, str]) -> urllib.request.OpenerDirector:
    """What opens URLs, by way of `proxies` (scheme → URL).

    `ca_file`: the certificates that are trusted; "": the system's.
    """
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(dict(proxies)),
        _Http(),
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
        return _NoHttps("this Python lacks the module ssl, so it can't use https")

    class Connection(http.client.HTTPSConnection):
        response_class = _Response

    class Https(urllib.request.HTTPSHandler):
        def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(Connection, req, context=context)

    try:
        context = ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:  # ssl's own errors are such
        return _NoHttps(f"the trusted certificates can't be read: {error}")
    return Https(context=context)
