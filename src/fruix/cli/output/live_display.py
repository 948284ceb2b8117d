"""How a build is shown on a terminal, with a live status area.

That needs the `rich` library: without it, or without a terminal, there are plain lines.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from fruix.cli.output.display import PlainDisplay
from fruix.cli.output.standard_streams import unfiltered
from fruix.model.events import BuildStarted, Event, PhaseStarted
from fruix.model.planned import BuildPlan
from fruix.model.storepath import StorePath
from fruix.overriding import override
from fruix.threads import signals_blocked

if TYPE_CHECKING:
    from rich.live import Live

REFRESH_PER_SECOND = 8


class LiveDisplay(PlainDisplay):
    """A terminal on which finished things scroll by above the status area.

    What draws it takes four times as long to load as an interpreter to start, and is loaded at the
    first event: the daemon works meanwhile.
    """

    _live: Live | None = None  # once it is drawn
    _closing = False

    @override
    def event(self, event: Event) -> None:
        if self._live is None:
            self._open()
        super().event(event)

    def _open(self) -> None:
        from rich.console import Console  # noqa: PLC0415 - optional, and slow to import
        from rich.live import Live  # noqa: PLC0415

        console = Console(file=unfiltered(self.stream), highlight=False)
        self._live = Live(
            console=console,
            get_renderable=lambda: self._rendered(console.size),
            refresh_per_second=REFRESH_PER_SECOND,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        with signals_blocked():  # of the thread that draws
            self._live.start()

    @override
    def show(self, event: Event) -> None:
        # The status area shows what has begun.
        if self.verbosity >= 2 or not isinstance(event, BuildStarted | PhaseStarted):
            super().show(event)

    @override
    def write(self, text: str) -> None:
        if self._live is None:
            super().write(text)
            return
        from rich.text import Text  # noqa: PLC0415

        self._live.console.print(Text.from_ansi(text), soft_wrap=True)

    @override
    def close(self) -> None:
        if self._live is not None:
            self._closing = True
            self._live.stop()  # which draws once more before it takes away what is drawn

    def _rendered(self, size: tuple[int, int]) -> Any:
        """What the status area is at this moment, on so many columns and rows."""
        from rich.text import Text  # noqa: PLC0415

        if self._closing:  # for an empty one `rich` takes an empty string, and loads its emojis to read that
            return Text(" ")
        return Text.from_ansi("\n".join(self._area(*size)), no_wrap=True)


def open_display(
    plan: BuildPlan, *, verbosity: int, sizes: Mapping[StorePath, int] = MappingProxyType({})
) -> PlainDisplay:
    """The display that suits standard error, with a status area if it is a terminal."""
    if plan.builds and sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        with suppress(ImportError):
            if find_spec("rich.console") is not None:
                return LiveDisplay(sys.stderr, plan, verbosity=verbosity, sizes=sizes)
    return PlainDisplay(sys.stderr, plan, verbosity=verbosity, sizes=sizes)
