"""How the blocks that are no commands are looked at: each by what reads such a thing in earnest."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fruix.daemon import settings
from fruix.sandbox.views.definition import definitions


def check_settings(text: str) -> None:
    """A piece of the daemon's configuration, with views that can be made of it."""
    read = settings.parse(text)
    definitions(read.build.views)


CHECKS: Mapping[str, Callable[[str], None]] = {"settings": check_settings}
