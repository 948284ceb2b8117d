"""Where a definition is written down, and errors that say so."""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from typing import NamedTuple

from fruix.errors import DefinitionError, FormatError, UsageError
from fruix.packages.wording import in_a_line

USERS = "__fruix_definitions__"  # a variable of modules that are files of the user's, see `files`
_HINT = "correct the definition there; docs/packages.md says what it may hold"
EXPRESSION = "-e"  # stands for the file of what is written on the command line


class Place(NamedTuple):
    """A line of a file, counted from 1; line 0 stands for the whole file."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file

    @property
    def directory(self) -> str:
        """The absolute directory of the file.

        What is written on the command line or typed into an interpreter (`<stdin>`) stands in the
        current directory.
        """
        if self.file == EXPRESSION or self.file.startswith("<"):
            return os.getcwd()
        return os.path.dirname(os.path.abspath(self.file))


def definition_place() -> Place:
    """The line outside of `fruix.packages` that is being executed.

    It calls a record's class, or `inherit`.
    """
    frame = sys._getframe(1)  # noqa: SLF001 - what `warnings` and `logging` use too
    while frame.f_back is not None and _makes_records(frame.f_globals.get("__name__", "")):
        frame = frame.f_back
    return Place(frame.f_code.co_filename, frame.f_lineno)


@lru_cache(maxsize=256)
def _makes_records(module: str) -> bool:
    """Whether a module is on the way from a definition to the record.

    Those of this package are, but for the catalogue's, and `fruix.dataclass`.
    """
    return module == "fruix.dataclass" or (
        module.startswith("fruix.packages.") and not module.startswith("fruix.packages.catalogue.")
    )


class located:  # noqa: N801 - a context like those of `contextlib`, for every record that is made
    """Wrong definitions become errors with their place; those that have one already pass.

    An error that is raised in the definition's own file or another file of the user's (a function
    for phases) is located where that happened. Entering and leaving it costs some 0.3 µs.

    Args:
        place: of the definition.
        subject: the package, or what else is being made.

    Raises:
        DefinitionError: in place of a `UsageError`, a `FormatError`, and whatever code of the
            user's raises, `SystemExit` included.
    """

    __slots__ = ("_place", "_subject")

    def __init__(self, place: Place, subject: str = "") -> None:
        self._place = place
        self._subject = subject

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if error is None or isinstance(error, DefinitionError):
            return
        place = self._place
        if isinstance(error, SyntaxError):
            where = Place(error.filename or place.file, error.lineno or 0)
            raise DefinitionError(f"not Python: {error.msg}", str(where), hint=_HINT) from error
        if isinstance(error, UsageError | FormatError):
            where = _users_line(error, place.file) or place
            raise DefinitionError(error.message, str(where), self._subject, hint=error.hint) from error
        line = _users_line(error, place.file) if isinstance(error, Exception | SystemExit) else None
        if line is not None:
            raise DefinitionError(_message(error), str(line), self._subject, hint=_HINT) from error


def _message(error: BaseException) -> str:
    return "the file ends the program (SystemExit)" if isinstance(error, SystemExit) else in_a_line(error)


def _users_line(error: BaseException, file: str) -> Place | None:
    """The innermost line of the user's that an error, or what caused it, came through."""
    import traceback  # noqa: PLC0415 - seldom needed

    lines = [
        Place(frame.f_code.co_filename, line)
        for told in (error, error.__cause__)
        if told is not None
        for frame, line in traceback.walk_tb(told.__traceback__)
        if frame.f_code.co_filename == file or USERS in frame.f_globals
    ]
    return lines[-1] if lines else None
