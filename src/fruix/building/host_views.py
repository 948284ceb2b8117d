"""The host views that this daemon offers, and whether a derivation's view is the one that this host has.

A derivation names a view and the fingerprint that it was made for; another fingerprint means other
tools, so it is refused with the differences, never built with what happens to be here.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import Any

from fruix.errors import HostViewChangedError, HostViewError
from fruix.hostview import ResolvedView, definitions, history_of, known_view, resolve_view, touched
from fruix.model.attributes import Attributes, variable
from fruix.model.derivation import Derivation
from fruix.model.hostview import VIEW_HASH_VARIABLE, VIEW_VARIABLE, HostView, Sighting
from fruix.model.nearest import nearest
from fruix.model.viewdiff import difference, in_words
from fruix.sandbox.back_ends import current

MAX_DIFFERENCES = 5


class HostViews:
    """Resolves views by name; thread-safe. Cheap when nothing has changed, see `sandbox.views`."""

    def __init__(self, cache_directory: str, configured: Mapping[str, Mapping[str, Any]]) -> None:
        self._cache = cache_directory
        self._definitions = definitions(configured)
        self._lock = threading.Lock()

    @property
    def names(self) -> frozenset[str]:
        """Of the views that are offered."""
        return frozenset(self._definitions)

    def resolve(self, name: str) -> ResolvedView:
        """The view as this host has it now.

        Raises:
            HostViewError: no such view here, or a tool that it needs is missing.
        """
        definition = self._definitions.get(name)
        if definition is None:
            raise HostViewError(
                f"host view '{name}' is not offered here",
                hint=nearest(name, self._definitions),
            )
        with self._lock:
            return resolve_view(definition, self._cache, hide=current().can_hide)

    def now_or_known(self, word: str) -> HostView:
        """The view of that name as it is now.

        Or the one that had that fingerprint, if this host ever had it.

        Raises:
            HostViewError: neither.
        """
        known = None if word in self._definitions else known_view(word, self._cache)
        return known or self.resolve(word).view

    def histories(self) -> dict[str, list[Sighting]]:
        """The views that are offered: the fingerprints that each was seen to have, oldest first.

        Looks at nothing now.
        """
        return {name: history_of(name, self._cache) for name in sorted(self._definitions)}

    def change_since(self, resolved: ResolvedView) -> str:
        """What of a view that a build was shown isn't as it was then; empty if all is.

        Cheap: one look at each file, none into it.

        What was too young then to tell a later change from it is looked into again.
        """
        if (path := touched(resolved)) is not None:
            return f"{path} {'was changed' if os.path.lexists(path) else 'was removed'}"
        if resolved.settled:
            return ""
        try:
            now = self.resolve(resolved.view.name).view
        except HostViewError as error:
            return str(error)
        return ", ".join(difference(resolved.view, now)[:MAX_DIFFERENCES])

    def for_derivation(self, derivation: Derivation, attributes: Attributes) -> ResolvedView | None:
        """The view that `derivation` asks for, or None if it asks for none.

        Raises:
            HostViewChangedError: it has another fingerprint now.
            HostViewError: not offered, or lacking something.
        """
        name = variable(derivation, attributes, VIEW_VARIABLE)
        if not name:
            return None
        wanted = variable(derivation, attributes, VIEW_HASH_VARIABLE)
        resolved = self.resolve(name)
        if resolved.view.fingerprint == wanted:
            return resolved
        raise HostViewChangedError(
            f"host view '{name}' has changed since '{derivation.name}' was made: "
            f"{self._explain(wanted, resolved.view)}",
            hint="ask for the package again: it will be lowered for the tools that are here now",
        )

    def _explain(self, wanted: str, current: HostView) -> str:
        old = known_view(wanted, self._cache)
        if old is None:
            here = current.fingerprint[:16]
            return f"fingerprint {wanted[:16] or '(none)'}… was never seen on this host, it has {here}…"
        return in_words(old, current)[0]
