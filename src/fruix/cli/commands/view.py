"""`fruix view`: what host views show, from which packages of the host, and what changed.

The host is that of the daemon's machine.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from fruix.cli.output.amounts import plural
from fruix.cli.output.terminal import harmless, styled, wants_colour
from fruix.cli.request.connect import open_store
from fruix.client import RemoteStore
from fruix.errors import HostViewError, UsageError
from fruix.late import late_pattern
from fruix.model.hostview import HostView, Sighting
from fruix.model.viewdiff import changes, in_words

_DIGITS = 16  # of a fingerprint, in lists
_BEGINNING = late_pattern(r"[0-9a-f]{6,64}")
_COLOURS = {"-": "red", "+": "green", "~": "yellow"}
Histories = Mapping[str, Sequence[Sighting]]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the view or fingerprint, and the form of what is said."""
    parser.add_argument(
        "name",
        nargs="?",
        metavar="NAME",
        help="a view, or (the beginning of) a fingerprint that one had; default: a line for each",
    )
    parser.add_argument(
        "--diff", action="store_true", help="say what changed since it had its last other fingerprint"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object per line and view")
    parser.add_argument(
        "--scheme",
        action="store_true",
        help="Scheme data for the build system 'host' of Guix's clients (see 'fruix guile-path')",
    )


def run(options: argparse.Namespace) -> int:
    """Print the view; with `--diff` and a name, status 1 if there is nothing to compare with.

    Raises:
        HostViewError: there is no such view, or it can't be shown here.
    """
    with open_store() as store:
        if options.scheme:
            names = [options.name] if options.name else store.host_views()
            sys.stdout.writelines(map(store.described_host_view, names))
            return 0
        if options.name is None:
            _show_all(store, options)
            return 0
        view = store.host_view(_full(options.name, store.host_views()))
        histories = store.host_views()  # it may have a fingerprint that it never had
        if not options.diff:
            _print([json.dumps(_as_json(view, histories))] if options.json else _shown(view, histories))
            return 0
        pair = _pair(store, view, histories)
        if pair is None:
            print(f"'{view.name}' had no other fingerprint that is known", file=sys.stderr)
            return 1
        _print([json.dumps(_diff_as_json(*pair))] if options.json else _difference(*pair))
        return 0


def _show_all(store: RemoteStore, options: argparse.Namespace) -> None:
    names = store.host_views()
    width = max(map(len, names), default=0)
    for name in names:
        try:
            view = store.host_view(name)
        except HostViewError as error:
            failed = {"version": 1, "name": name, "error": str(error)}
            _print([json.dumps(failed) if options.json else f"{name:<{width}}  {error}"])
            continue
        histories = store.host_views()  # it may have a fingerprint that it never had
        pair = _pair(store, view, histories) if options.diff else None
        if options.json:
            shown = _as_json(view, histories) | (_diff_as_json(*pair) if pair else {})
            _print([json.dumps(shown)])
        else:
            _print([f"{name:<{width}}  {view.fingerprint[:_DIGITS]}  {_since(view, histories)}"])
            if pair:
                _print([f"  {in_words(*pair)[0]}"])


def _full(word: str, histories: Histories) -> str:
    """A name, or the whole of a fingerprint.

    Raises:
        UsageError: several begin like that.
    """
    if word in histories or not _BEGINNING.fullmatch(word):
        return word
    found = {seen for history in histories.values() for seen, _ in history if seen.startswith(word)}
    if len(found) > 1:
        raise UsageError(f"{len(found)} fingerprints begin with '{word}'", hint="give more of it")
    return found.pop() if found else word


def _pair(store: RemoteStore, view: HostView, histories: Histories) -> tuple[HostView, HostView] | None:
    """Two views to compare, older first; None if no other is known.

    Of a view as it is now: the last other that is known, and it. Of an earlier one: it, and the
    view as it is now.
    """
    history = [seen for seen, _ in histories.get(view.name, ())]
    if history and view.fingerprint != history[-1]:
        now = store.host_view(view.name)
        return None if now.fingerprint == view.fingerprint else (view, now)
    for seen in reversed(history[:-1]):
        if seen != view.fingerprint and (old := _known(store, seen)) is not None:
            return old, view
    return None


def _known(store: RemoteStore, fingerprint: str) -> HostView | None:
    try:
        return store.host_view(fingerprint)
    except HostViewError:
        return None


def _since(view: HostView, histories: Histories) -> str:
    """`since 2026-11-28 10:02, 2 others known`, in local time."""
    history = histories.get(view.name, ())
    moment = next((since for seen, since in reversed(history) if seen == view.fingerprint), None)
    if moment is None:
        return ""
    others = len({seen for seen, _ in history} - {view.fingerprint})
    more = f", {plural(others, 'other')} known" if others else ""
    return f"since {time.strftime('%Y-%m-%d %H:%M', time.localtime(moment))}{more}"


def _shown(view: HostView, histories: Histories) -> Iterator[str]:
    """Packages with their versions, then what belongs to none."""
    owned = {path for package in view.packages.values() for path in package.paths}
    others = {path: value for path, value in view.tools.items() if path not in owned}
    yield f"{view.name} {view.fingerprint}"
    yield _since(view, histories)
    yield f"programs in: {' '.join(view.path)}"
    if view.packages:
        width = max(map(len, view.packages))
        yield "packages of the host:"
        yield from (f"  {name:<{width}}  {each.version}" for name, each in sorted(view.packages.items()))
    if others:
        yield "of no package:" if view.packages else "entries:"
        yield from (f"  {path}" for path in sorted(others))


def _difference(old: HostView, new: HostView) -> Iterator[str]:
    sentence, lines = in_words(old, new)
    yield f"- {old.name} {old.fingerprint}"
    yield f"+ {new.name} {new.fingerprint}"
    yield f"{sentence}{':' if lines else ''}"
    yield from (f"  {line}" for line in lines)


def _as_json(view: HostView, histories: Histories) -> dict[str, Any]:
    return {
        "version": 1,
        "name": view.name,
        "fingerprint": view.fingerprint,
        "path": list(view.path),
        "packages": {name: each.version for name, each in view.packages.items()},
        "entries": dict(view.tools),
        "history": [{"fingerprint": seen, "since": since} for seen, since in histories.get(view.name, ())],
    }


def _diff_as_json(old: HostView, new: HostView) -> dict[str, Any]:
    return {
        "version": 1,
        "name": new.name,
        "old": old.fingerprint,
        "new": new.fingerprint,
        "changes": [{"name": each.name, "old": each.old, "new": each.new} for each in changes(old, new)],
        "lines": in_words(old, new)[1],
    }


def _print(lines: Iterable[str]) -> None:
    colour = wants_colour(sys.stdout)
    for line in lines:
        text = harmless(line, colour=False)
        style = _COLOURS.get(text.strip()[:1])
        print(styled(text, style, colour=colour) if style else text)
