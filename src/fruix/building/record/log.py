"""A build's log: raw bytes to a file (`log_file`), lines to whoever listens.

The last lines are kept for the error message.

The file holds exactly what the builder wrote, but for secrets that the daemon told it: everybody
can read a log. Lines for listeners are split at LF,
decoded leniently and cut at `MAX_LINE` bytes, so that output without line ends costs bounded
memory. Two marks are understood and become phases instead of lines: `@ fruix phase NAME` of our own
builder scripts, and the peers' `@nix {"action": "setPhase", …}`; a third, `@ fruix progress DONE
TOTAL URL`, is a transfer's. They are data of the builder: all they can do is name a phase or show a
figure.

Cost: what the file costs, and one `bytes.split` per chunk read.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable

from fruix.building.record.log_file import LogFile
from fruix.downloads import progress
from fruix.model.secrets import Hider

MAX_LINE = 16384
PHASE_MARK = b"@ fruix phase "
NIX_MARK = b"@nix "
MAX_PHASE_NAME = 64


def phase_of(line: bytes) -> str | None:
    """The phase that a log line announces, or None for an ordinary line."""
    if line.startswith(PHASE_MARK):
        name = line[len(PHASE_MARK) :]
    elif line.startswith(NIX_MARK):
        try:
            message = json.loads(line[len(NIX_MARK) :])
        except (ValueError, RecursionError):
            return None
        if not isinstance(message, dict) or message.get("action") != "setPhase":
            return None
        name = str(message.get("phase", "")).encode()
    else:
        return None
    text = name.strip().decode("ascii", "replace")[:MAX_PHASE_NAME]
    return text if text.isprintable() and text else None


class BuildLog:
    """Collects one build's output. Not thread-safe: the build's own thread feeds it."""

    def __init__(
        self,
        path: str,
        *,
        on_line: Callable[[str], None],
        on_phase: Callable[[str], None],
        on_progress: Callable[[int, int, str], None] | None = None,
        keep_lines: int,
    ) -> None:
        self.path = path
        self.size = 0
        self.last_lines: deque[str] = deque(maxlen=keep_lines)
        self._on_line = on_line
        self._on_phase = on_phase
        self._on_progress = on_progress
        self._partial = b""
        self._hider = Hider(())
        self._file = LogFile(path)
        self._explained = _Explained(path)

    def begin(self) -> None:
        """Make its file, which is made by whatever is done with the log first."""
        with self._explained:
            self._file.begin()

    def hide(self, texts: Iterable[str]) -> None:
        """From here on none of these texts gets into the file or to a listener."""
        self._hider = Hider(texts)

    def feed(self, chunk: bytes) -> None:
        """Take what was read from the builder."""
        self.size += len(chunk)
        self._take(self._hider.feed(chunk))

    def _take(self, chunk: bytes) -> None:
        with self._explained:
            self._file.write(chunk)
        lines = (self._partial + chunk).split(b"\n")
        self._partial = lines.pop()
        for line in lines:
            self._line(line)
        while len(self._partial) > MAX_LINE:
            self._line(self._partial[:MAX_LINE])
            self._partial = self._partial[MAX_LINE:]

    def note(self, text: str) -> None:
        """A line of the daemon's own, kept in the log like the builder's."""
        self.feed(text.encode("utf-8", "surrogateescape") + b"\n")

    def append(self, text: str) -> None:
        """A line for the file alone: nobody listens to it, and it counts for nothing."""
        self._file.write(text.encode("utf-8", "surrogateescape") + b"\n")

    def flush(self) -> None:
        """Make what was written so far readable by others (`fruix log` of a running build)."""
        with self._explained:
            self._file.flush()

    def end(self) -> None:
        """Hand out the last, unfinished line; the file can be read as a whole from here on."""
        if rest := self._hider.rest():
            self._take(rest)
        if self._partial:
            self._line(self._partial)
            self._partial = b""
        self.flush()

    def close(self) -> None:
        """Give the file its last form, for which nobody needs to wait; again: nothing."""
        self.end()
        with self._explained:
            self._file.close()

    def _line(self, raw: bytes) -> None:
        if (phase := phase_of(raw)) is not None:
            self._on_phase(phase)
            return
        if self._on_progress is not None and (told := progress.parse(raw)) is not None:
            self._on_progress(*told)
            return
        for start in range(0, max(len(raw), 1), MAX_LINE):
            line = raw[start : start + MAX_LINE].rstrip(b"\r").decode("utf-8", "replace")
            self.last_lines.append(line)
            self._on_line(line)


class _Explained:
    """A full disk says which file it was about."""

    __slots__ = ("_path",)

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, OSError):
            text = f"the build log can't be written: {error.strerror}"
            raise OSError(error.errno, text, self._path) from error
