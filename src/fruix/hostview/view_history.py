"""What views of this host were, for as long as somebody may ask what changed.

Files of the cache directory: `FINGERPRINT.json` (a view as it was, with the latest versions of its
packages) and `NAME.history` (the fingerprints that a view had, oldest first, each with the time
since which it had it; at most `MOST`, then the oldest go).
"""

from __future__ import annotations

import contextlib
import os
import time

from fruix.dataclass import asdict
from fruix.hostview.cache_files import read_json, write_json
from fruix.late import late_pattern
from fruix.model.hostview import HostPackage, HostView, Sighting

MOST = 100  # of a view; 30 to 60 KB each
_FINGERPRINT = late_pattern(r"[0-9a-f]{64}")


def known_view(fingerprint: str, cache_dir: str) -> HostView | None:
    """What a fingerprint stood for, if this host ever had it.

    The fingerprint may be anything: it comes from a client.
    """
    if not _FINGERPRINT.fullmatch(fingerprint):
        return None
    try:
        kept = read_json(_manifest(fingerprint, cache_dir))
        packages = {name: _package(**package) for name, package in kept.pop("packages", {}).items()}
        view = HostView(**{**kept, "path": tuple(kept["path"])}, packages=packages)
    except (TypeError, AttributeError, KeyError):
        return None
    return view if view.fingerprint == fingerprint else None


def _package(version: str, paths: list[str]) -> HostPackage:
    return HostPackage(version, tuple(paths))


def keep_view(view: HostView, cache_dir: str) -> None:
    """Remember a view as it is now."""
    known = known_view(view.fingerprint, cache_dir)
    if known is None or known.packages != view.packages:
        write_json(_manifest(view.fingerprint, cache_dir), asdict(view))
    history = history_of(view.name, cache_dir)
    if not history or history[-1][0] != view.fingerprint:
        history.append((view.fingerprint, int(time.time())))
        write_json(f"{cache_dir}/{view.name}.history", history[-MOST:])
        _forget({fingerprint for fingerprint, _ in history[:-MOST]}, cache_dir)


def history_of(name: str, cache_dir: str) -> list[Sighting]:
    """The fingerprints that a view had, oldest first."""
    kept = read_json(f"{cache_dir}/{name}.history")
    try:
        return [(str(fingerprint), int(since)) for fingerprint, since in kept or ()]
    except (TypeError, ValueError):
        return []


def _forget(fingerprints: set[str], cache_dir: str) -> None:
    """Delete what no history has any more; views of two names may have the same."""
    import glob  # noqa: PLC0415 - seldom needed

    suffix = ".history"
    for file in glob.glob(f"{glob.escape(cache_dir)}/*{suffix}") if fingerprints else ():
        name = os.path.basename(file).removesuffix(suffix)
        fingerprints = fingerprints - {fingerprint for fingerprint, _ in history_of(name, cache_dir)}
    for fingerprint in fingerprints:
        with contextlib.suppress(OSError):
            os.unlink(_manifest(fingerprint, cache_dir))


def _manifest(fingerprint: str, cache_dir: str) -> str:
    return f"{cache_dir}/{fingerprint}.json"
