"""Lines of logs, cut to the room that a terminal has; of commands the middle is left out."""

from __future__ import annotations

import unicodedata

from fruix.cli.output.terminal import without_colour

# A line with that many options is a command, such as a compiler's.
_OPTIONS = 3
_WIDE = frozenset({"W", "F"})
_NO_ROOM = frozenset({"Mn", "Me", "Cf"})
# How the shell marks commands that it shows (PS4).
_TRACE = "$"


def last_state(line: str) -> str:
    """What a terminal shows in the end of a line with carriage returns, as progress has them."""
    if "\r" not in line:
        return line
    return next((state for state in reversed(line.split("\r")) if state.strip()), "")


def columns(text: str) -> int:
    """How many columns it takes; it holds no control characters."""
    if text.isascii():
        return len(text)
    return sum(
        (1 + (unicodedata.east_asian_width(one) in _WIDE))
        for one in text
        if unicodedata.category(one) not in _NO_ROOM
    )


def folded(line: str, room: int | None, mark: str = "…") -> str:
    """`line` in `room` columns (None: as many as it needs).

    Of a command are left its program and its last words, of other lines the beginning. What is cut
    has no colours.
    """
    if room is None or columns(plain := without_colour(line).expandtabs()) <= room:
        return line
    words = plain.split()
    if sum(word.startswith("-") for word in words) >= _OPTIONS:
        return _command(words, room, mark)
    return cut(plain, room, mark)


def cut(text: str, room: int, mark: str = "…") -> str:
    """The beginning of a text, with a mark if something is left out."""
    if columns(text) <= room:
        return text
    mark = mark[:room]
    room -= len(mark)
    end = 0
    while (room := room - columns(text[end])) >= 0:
        end += 1
    return text[:end] + mark


def _command(words: list[str], room: int, mark: str) -> str:
    """`gcc … -o foo.o foo.c`."""
    first = 1 + (words[0].strip(_TRACE) == "" and len(words) > 1)
    head = " ".join([*words[: first - 1], words[first - 1].rstrip("/").rpartition("/")[2]])
    left = room - columns(head) - len(mark) - 1
    tail: list[str] = []
    for word in reversed(words[first:]):
        left -= columns(word) + 1
        if left < 0:
            break
        tail.insert(0, word)
    return cut(" ".join([head, mark, *(tail or words[-1:])]), room, mark)
