"""Where a definition is written down, and errors that say so."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
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


def _makes_records(module: str) -> bool:
    """Whether a module is on the way from a definition to the record.

    Those of this package are, but for the catalogue's, and `fruix.dataclass`.
    """
    return module == "fruix.dataclass" or (
        module.startswith("fruix.packages.") and not module.startswith("fruix.packages.catalogue.")
    )


@contextmanager
def located(place: Place, subject: str = "") -> Iterator[None]:
    """Wrong definitions become errors with their place; those that have one already pass.

    An error that is raised in the definition's own file or another file of the user's (a function
    for phases) is located where that happened.

    Args:
        place: of the definition.
        subject: the package, or what else is being made.

    Raises:
        DefinitionError: in place of a `UsageError`, a `FormatError`, and whatever code of the
            user's raises, `SystemExit` included.
    """
    try:
        yield
    except DefinitionError:
        raise
    except SyntaxError as error:
        where = Place(error.filename or place.file, error.lineno or 0)
        raise DefinitionError(f"not Python: {error.msg}", str(where), hint=_HINT) from error
    except (UsageError, FormatError) as error:
        where = _users_line(error, place.file) or place
        raise DefinitionError(error.message, str(where), subject, hint=error.hint) from error
    except (Exception, SystemExit) as error:
        line = _users_line(error, place.file)
        if line is None:
            raise
        raise DefinitionError(_message(error), str(line), subject, hint=_HINT) from error


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
