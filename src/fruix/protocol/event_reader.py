"""Messages as events, on the client's side: what Nix's daemons, or Fruix's own, tell of builds."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from fruix.errors import FormatError
from fruix.late import late_import
from fruix.model.events import (
    BuildFinished,
    BuildStarted,
    Event,
    LogLine,
    Message,
    PhaseStarted,
    Progress,
    Waiting,
    from_json,
)
from fruix.model.storepath import StorePath
from fruix.protocol import messages as wire
from fruix.protocol.activities import ActivityType, Level, ResultType
from fruix.protocol.wire import Context

TYPE_CHECKING = False  # what `typing` has, without loading it
if TYPE_CHECKING:
    import json
else:
    json = late_import("json")


class EventReader:
    """Turns messages into events, on the client's side.

    Nix's daemon says less: names are derived from paths, moments are those of arrival,
    and that a build has stopped is all that is known of its end.
    """

    def __init__(self, context: Context, clock: Callable[[], float]) -> None:
        self._directory = context.directory
        self._clock = clock
        self._builds: dict[int, tuple[StorePath, float]] = {}
        self._transfers: dict[int, tuple[StorePath, str]] = {}

    def events(self, message: wire.Message) -> Iterator[Event]:
        """What a message tells; nothing for what has no event."""
        match message:
            case wire.Next():
                yield Message(Level.NOTICE, message.text.removesuffix("\n"))
            case wire.StartActivity():
                yield from self._started(message)
            case wire.Result(type=ResultType.EVENT, fields=(str(text),)):
                yield _own_event(text, self._directory)
            case wire.Result():
                yield from self._result(message)
            case wire.StopActivity():
                self._transfers.pop(message.id, None)
                if message.id in self._builds:
                    drv, begun = self._builds.pop(message.id)
                    yield BuildFinished(drv, self._clock() - begun, {})

    def _started(self, message: wire.StartActivity) -> Iterator[Event]:
        match message.type, message.fields:
            case ActivityType.BUILD, (str(text), *_):
                drv, now = StorePath.parse(text, self._directory), self._clock()
                self._builds[message.id] = drv, now
                yield BuildStarted(drv, drv.short_name, time=now)
            case ActivityType.BUILD_WAITING, (str(text), *_):
                yield Waiting(StorePath.parse(text, self._directory), message.text)
            case ActivityType.FILE_TRANSFER, (str(url), *_) if message.parent in self._builds:
                self._transfers[message.id] = self._builds[message.parent][0], url

    def _result(self, message: wire.Result) -> Iterator[Event]:
        match message.type, message.fields:
            case ResultType.BUILD_LOG_LINE, (str(line),) if message.id in self._builds:
                yield LogLine(self._builds[message.id][0], line)
            case ResultType.SET_PHASE, (str(phase),) if message.id in self._builds:
                yield PhaseStarted(self._builds[message.id][0], phase, self._clock())
            case ResultType.PROGRESS, (int(done), int(total), *_) if message.id in self._transfers:
                drv, url = self._transfers[message.id]
                yield Progress(drv, done, total, url)


def _own_event(text: str, directory: str) -> Event:
    try:
        return from_json(json.loads(text), directory)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"malformed event: {error}") from None
