"""Lines for a log, said as to a logger of the standard library, without loading that.

`logging` with what it brings takes half as long to load as an interpreter to start. A process that
sets where its lines go (`send_to`: the daemon) never loads it; elsewhere a line goes to its logger
of that name.
"""

from __future__ import annotations

TYPE_CHECKING = False  # what `typing` has, without loading it
if TYPE_CHECKING:
    from collections.abc import Callable

_write: Callable[[str], None] | None = None


def send_to(write: Callable[[str], None] | None) -> None:
    """Have all lines of this process, and of those that it forks, written so; None: by `logging`."""
    global _write  # noqa: PLW0603
    _write = write


class Log:
    """What says lines. Values are put into texts by `%`."""

    def __init__(self, name: str) -> None:
        self.name = name

    def debug(self, text: str, *values: object) -> None:
        """Say what only `logging` may be asked to show."""
        if _write is None:
            self._say("debug", text, values)

    def info(self, text: str, *values: object) -> None:
        """Say what goes on."""
        self._say("info", text, values)

    def warning(self, text: str, *values: object) -> None:
        """Say what somebody may have to look at."""
        self._say("warning", text, values)

    def error(self, text: str, *values: object) -> None:
        """Say what failed."""
        self._say("error", text, values)

    def exception(self, text: str, *values: object) -> None:
        """Say what failed, with the traceback of the exception that is being handled."""
        self._say("exception", text, values)

    def _say(self, kind: str, text: str, values: tuple[object, ...]) -> None:
        if _write is None:
            import logging  # noqa: PLC0415 - see above

            getattr(logging.getLogger(self.name), kind)(text, *values, stacklevel=3)
            return
        line = text % values if values else text
        if kind == "exception":
            import traceback  # noqa: PLC0415 - seldom needed

            line += "\n" + traceback.format_exc().rstrip("\n")
        _write(line)
