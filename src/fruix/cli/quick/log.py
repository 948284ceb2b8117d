"""`fruix log`, with `--raw` and `--check`, of a derivation, or of a package that was built by its name.

On a terminal lines of plain text are written as they are; from the first that is not on, the whole
command's filter is loaded.
"""

from __future__ import annotations

import os

from fruix.building.record.log_reading import read_log
from fruix.cli.quick import reach
from fruix.cli.quick.streams import is_plain, usable, write
from fruix.errors import FruixError
from fruix.model.base_name import is_base_name
from fruix.store import places

TYPE_CHECKING = False  # what `typing` has, without loading it
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_OPTIONS = {"--raw", "--check"}


def answer(words: Sequence[str], environment: Mapping[str, str]) -> int | None:
    """Print the log; see the package."""
    options = _OPTIONS.intersection(words)
    named = [word for word in words if word not in options]
    if len(named) != 1 or len(named) + len(options) != len(words) or not usable():
        return None
    try:
        store = places.directory(environment, "store")
        directory, _, base = _derivation(named[0], environment).rpartition("/")
        if directory != store or not base.endswith(".drv") or not is_base_name(base):
            return None
        file = places.log_file(reach.logs(environment), base, check="--check" in options)
        chunks = read_log(file)
        first = next(chunks, b"")
    except (OSError, ValueError, FruixError, ImportError):  # not every Python has bzip2
        return None
    return _print(first, chunks, raw="--raw" in options or not os.isatty(1))


def _derivation(word: str, environment: Mapping[str, str]) -> str:
    """The derivation that a word stands for; of a package that is remembered of its build."""
    if "/" in word:
        return word
    from fruix.cli.remembered import derivations  # noqa: PLC0415 - not for paths

    found = derivations([word], environment)
    return found[0] if len(found) == 1 else ""


def _print(first: bytes, chunks: Iterator[bytes], *, raw: bool) -> int | None:
    """Write it, on a terminal with a line end; None if that fails at once."""
    chunk, last = first, b""
    try:
        while chunk:
            if not raw and not is_plain(chunk):
                return _print_filtered(chunk, chunks)
            write(chunk)
            last = chunk[-1:]
            chunk = next(chunks, b"")
        if not raw and last not in {b"", b"\n"}:
            write(b"\n")
    except BrokenPipeError:
        return 141
    except (OSError, FruixError) as error:
        return _failed(error) if last else None
    return 0


def _print_filtered(first: bytes, chunks: Iterator[bytes]) -> int:
    from itertools import chain  # noqa: PLC0415 - seldom needed

    from fruix.cli.output.standard_streams import flushed, prepare, write_bytes  # noqa: PLC0415

    prepare()
    write_bytes(chain([first], chunks), raw=False)
    return flushed(0)


def _failed(error: OSError | FruixError) -> int:
    from fruix.cli.command_line import report  # noqa: PLC0415 - seldom needed
    from fruix.errors import of_system  # noqa: PLC0415

    report(of_system(error) if isinstance(error, OSError) else error)
    return 1
