"""`fruix build DRV…` with few options: what is to be done is said before the whole command is loaded.

The daemon is asked what the whole command would ask first, in the same bytes. What it answers is handed
over with the connection, so that it isn't asked again; see `client.resumed`.
"""

from __future__ import annotations

import os
import sys

from fruix.cli.output.headline import counted
from fruix.cli.quick.streams import is_plain, usable
from fruix.client.question import Question, number_bytes, text_bytes
from fruix.client.socket_name import socket_path
from fruix.errors import FruixError
from fruix.model.base_name import HASH_PART_SIZE, is_base_name
from fruix.protocol import numbers
from fruix.store import places

TYPE_CHECKING = False  # what `typing` has, without loading it
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fruix.client.question import Begun

_MOST = 200  # builds of a plan that is read here; a longer one is read once, by the whole command
_SIGNS = str.maketrans("", "", "→…")
_ENDING = ".drv"
# Options that change nothing of the question, nor of the line.
_FLAGS = frozenset({"-k", "--keep-going", "-K", "--keep-failed", "-v", "-vv", "--verbose"})


def begin(words: Sequence[str], environment: Mapping[str, str]) -> Begun | None:
    """Ask for a plan and say its first line; None: the whole command has to begin, nothing was said."""
    drvs = [word for word in words if word not in _FLAGS]
    try:
        if not drvs or environment.get("METADATA_OUT") or not usable():
            return None
        directory = places.directory(environment, "store")
        if not all(_is_derivation(word, directory) for word in drvs):
            return None
        question = Question(socket_path(environment))
    except (OSError, ValueError, FruixError):
        return None
    try:
        return question.hand_over(_ask(question, drvs))
    except (OSError, FruixError):
        question.__exit__()
        return None


def _is_derivation(word: str, directory: str) -> bool:
    """Whether a word is a derivation's path as it is, through no links."""
    base = word.removeprefix(f"{directory}/")
    plain = base != word and base.endswith(_ENDING) and is_base_name(base)
    return plain and os.path.realpath(word) == word


def _ask(question: Question, words: Sequence[str]) -> str:
    """The line that was said."""
    requests = b"".join(text_bytes(f"{word}!*") for word in words)
    try:
        question.ask(numbers.QUERY_PLAN, number_bytes(len(words)) + requests + number_bytes(0))
        count = question.number()
        if count > _MOST:
            return ""
        builds = [question.record(numbers.PLANNED_BUILD) for _ in range(count)]
        jobs, problems = question.number(), question.texts()
    except ValueError:  # messages, errors: the whole command hears all of it again
        return ""
    return _say(counted(builds, jobs, problems, _short_name))


def _short_name(drv: str) -> str:
    return drv.rpartition("/")[2][HASH_PART_SIZE + 1 :].removesuffix(_ENDING)


def _say(line: str) -> str:
    """Write it as the whole command does; nothing if the stream or the line is not as usual."""
    encoding = getattr(sys.stderr, "encoding", None) or ""
    is_utf8 = encoding.lower().replace("-", "") == "utf8"
    rest = line.translate(_SIGNS) if is_utf8 else line
    if not rest.isascii() or not is_plain(rest.encode()):
        return ""
    data = f"{line}\n".encode()
    return line if os.write(2, data) == len(data) else ""
