"""What can go wrong with a URL: whether to ask it again, and in which words people are told."""

from __future__ import annotations

import errno
import http.client
import socket
import urllib.error

from fruix.downloads import opener
from fruix.downloads.opener import GiveUpOnMirrorError

# How often a URL is asked, and seconds without a byte from its server.
ATTEMPTS = 3
CONNECT_TIMEOUT = 30
LONGEST_REASON = 500  # characters; servers' words are part of it
# Answers for which another attempt at the same mirror makes sense.
RETRY_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_NO_WAY = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN})
_HOPELESS: tuple[type[Exception], ...] = (socket.gaierror, ConnectionRefusedError, *opener.CERTIFICATE_ERRORS)


def is_final(error: Exception) -> bool:
    """Whether asking the same mirror again is pointless."""
    if isinstance(error, urllib.error.HTTPError):
        return error.code not in RETRY_STATUS
    if not isinstance(error, OSError | http.client.HTTPException) or isinstance(
        error, http.client.InvalidURL
    ):
        return True
    return isinstance(getattr(error, "reason", error), _HOPELESS)


def reason_of(error: Exception) -> str:
    """What an exception says; those that aren't of the network by their kind too."""
    cause = getattr(error, "reason", None)
    if isinstance(error, urllib.error.URLError) and isinstance(cause, OSError) and cause.strerror:
        error = cause
    if isinstance(error, socket.gaierror):
        return f"its host's name can't be resolved ({error.strerror}): there is no such host, or no network"
    if isinstance(error, OSError) and error.errno in _NO_WAY:
        return f"{error.strerror}: there is no network, or no way to that host"
    text, kind = str(error), type(error).__name__
    if not isinstance(error, GiveUpOnMirrorError | OSError) and not text.startswith(kind):
        text = f"{kind}: {text}" if text else kind
    return text if len(text) <= LONGEST_REASON else text[:LONGEST_REASON] + "…"
