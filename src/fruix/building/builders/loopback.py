"""Servers on this machine itself, at `localhost`: fetchers reach those whose ports the operator lists.

A fetcher's network has a loopback interface of its own, so that nothing which a derivation names can
ask the daemon's machine for what it tells only its own users. The setting `loopback-ports` opens
single ports, to the built-in fetchers alone. slirp4netns can't open single ones.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable
from urllib.parse import SplitResult, urlsplit

from fruix.building.builders.mirrors import Candidate
from fruix.sandbox.networks import OPENS_PORTS

SETTING = "loopback-ports"
_PORTS = {"http": 80, "https": 443}


def judged(candidates: Iterable[Candidate], ports: Collection[int], way: str) -> tuple[Candidate, ...]:
    """The same candidates; those on this machine that can't be reached say why.

    Args:
        candidates: of one download.
        ports: that the operator lists.
        way: how the fetcher gets its network (see `sandbox.networks`).
    """
    return tuple(
        Candidate(tried.url, tried.refusal or refusal(urlsplit(tried.url), ports, way))
        for tried in candidates
    )


def refusal(url: SplitResult, ports: Collection[int], way: str) -> str:
    """Why a URL can't be reached, if it is on this machine; empty if it can."""
    if not _is_loopback(url.hostname or ""):
        return ""
    try:
        port = url.port or _PORTS.get(url.scheme, 0)
    except ValueError as error:
        return f"is malformed: {error}"
    if port not in ports:
        return f"is on this machine, at port {port}, which the daemon's setting '{SETTING}' doesn't list"
    if way not in OPENS_PORTS:
        return f"is on this machine, to which '{way}' opens no single ports: install pasta"
    return ""


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
