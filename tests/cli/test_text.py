from __future__ import annotations

import pytest

from fruix.cli.text import duration, harmless, size

NASTY = [
    "\x1b]52;c;ZWNobw==\x07",  # clipboard
    "\x1b]0;title\x07",
    "\x1b[2J\x1b[H",  # clear
    "\x1b]8;;http://x\x1b\\link",
    "\x9b2J",  # C1
    "over\rwrite",
    "\x08\x7f\x00",
    "\x1b[6n",  # asks the terminal, which answers into the shell
    "\u202eright to left",
]


@pytest.mark.parametrize("line", NASTY)
@pytest.mark.parametrize("colour", [True, False])
def test_no_control_reaches_the_terminal(line: str, colour: bool) -> None:
    shown = harmless(line, colour=colour)
    assert all(character == "\t" or character.isprintable() for character in shown.replace("\x1b[0m", ""))


def test_colours_pass_only_where_they_are_wanted() -> None:
    assert harmless("\x1b[31mred\x1b[0m", colour=True) == "\x1b[31mred\x1b[0m\x1b[0m"
    assert harmless("\x1b[31mred", colour=False) == "red"
    assert harmless("plain\ttext é", colour=True) == "plain\ttext é"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.44, "0.4s"), (12.3, "12s"), (187, "3m07s"), (7500, "2h05m")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (5 << 30, "5.0 GiB")]
)
def test_sizes(count: int, text: str) -> None:
    assert size(count) == text
