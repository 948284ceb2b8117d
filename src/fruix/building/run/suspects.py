"""What may be behind a builder's end that its exit status doesn't tell.

A full disk, a limit that the kernel enforced, `noexec`, a signal from outside.

Each row looks at how the builder ended, the end of its log and the file systems that it used; the
first that fits becomes a hint, which people read last, and where there is a text for it a note.
None of it changes what the build's status is but a full disk, which another time may be less full.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable, Sequence

from fruix.building.builders.platforms import noexec_hint
from fruix.building.limits import Limits, nearly_full
from fruix.dataclass import dataclass
from fruix.model.reasons import Reason, reason
from fruix.sandbox import Exit

# What shells say of a child that died of a signal.
_SHELL = 128
# What shells say of a program that is there and can't be run.
_NOT_RUN = 126
# What programs say: the error's own text; of processes, dash says "Cannot fork" without it.
_NO_MORE_PROCESSES, _TOO_LARGE = (os.strerror(errno.EAGAIN), "Cannot fork"), os.strerror(errno.EFBIG)
_DENIED = os.strerror(errno.EACCES)


@dataclass(frozen=True, slots=True)
class Suspect:
    """What to do about it; `note`: what clients of all worlds are told.

    `passing`: another time it may go well.
    """

    hint: str
    note: Reason | None = None
    passing: bool = False


@dataclass(frozen=True, slots=True)
class Evidence:
    """How a builder ended, under which limits, and the last lines of its log.

    `directories`: one on each file system that it wrote to.
    """

    exited: Exit
    limits: Limits
    lines: Sequence[str]
    directories: Sequence[str]

    def said(self, *texts: str) -> bool:
        """Whether one of them stands at the end of the log."""
        return any(text in line for text in texts for line in self.lines)

    def died_of(self, number: int) -> bool:
        """Whether the builder or a program that its shell ran was ended by that signal."""
        return self.exited.signal == number or self.exited.code == _SHELL + number


def killed_for_memory(exited: Exit, limits: Limits) -> Reason | None:
    """Why the kernel killed something of it, where it counts that.

    The limit on memory, or the whole machine had none left.
    """
    if not exited.oom_kills:
        return None
    return reason("memory", limit=limits.max_memory) if limits.max_memory else reason("out-of-memory")


def suspect(evidence: Evidence) -> Suspect | None:
    """The first of the rows that fits."""
    return next((found for row in _ROWS if (found := row(evidence)) is not None), None)


def _full(evidence: Evidence) -> Suspect | None:
    full = [directory for directory in evidence.directories if nearly_full([directory])]
    if not full:
        return None
    hint = f"the disk of '{full[0]}' is full: free some space, then build again"
    return Suspect(hint, reason("disk-full"), passing=True)


def _file_size(evidence: Evidence) -> Suspect | None:
    limit = evidence.limits.max_file_size
    if not limit or not (evidence.died_of(signal.SIGXFSZ) or evidence.said(_TOO_LARGE)):
        return None
    return Suspect(
        f"if it wants bigger files than {limit} bytes, raise the setting 'max-file-size'",
        reason("maybe-file-size", limit=limit),
    )


def _processes(evidence: Evidence) -> Suspect | None:
    limit = evidence.limits.max_processes
    if not limit or not evidence.said(*_NO_MORE_PROCESSES):
        return None
    return Suspect(
        f"if it wants more than {limit} processes and threads, raise the setting 'max-processes'",
        reason("maybe-processes", limit=limit),
    )


def _noexec(evidence: Evidence) -> Suspect | None:
    if evidence.exited.code != _NOT_RUN and not evidence.said(_DENIED):
        return None
    hint = noexec_hint(evidence.directories)
    return Suspect(hint) if hint else None


def _killed(evidence: Evidence) -> Suspect | None:
    if not evidence.died_of(signal.SIGKILL):
        return None
    return Suspect(
        "no limit of Fruix's killed it, so somebody or something else did, or it itself: "
        "the kernel does when the machine is out of memory (its log says so: dmesg)"
    )


# In the order in which they are asked.
_ROWS: Sequence[Callable[[Evidence], Suspect | None]] = (_full, _file_size, _processes, _noexec, _killed)
