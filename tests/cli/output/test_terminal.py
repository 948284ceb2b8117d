from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fruix.cli.output.amounts import duration, size
from fruix.cli.output.terminal import harmless

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
    "\x1b[8mhidden\x1b[28m",
    "\x1b[31;8mhidden",
    "\x1b[0008mhidden",
    "\x1b[38;5;1;8mhidden",
    "\x1b[" + "1;" * 500 + "m",
    "\x1b[?25l\x1b[?1049h",  # no cursor, another screen
    "\x1bc",  # reset
    "\x1b]2;\x1b[31mcolour inside of a title\x07",
    "\x1b[31\x1b[0m;5m",
    "\x1bP+q544e\x1b\\",  # asks for capabilities
    "\x1b(0lqk",  # line drawing instead of letters
    "\x0e\x0f",
    "\x84\x90\x9d0;title\x9c",
    "\x1b[5;1R",
    '@nix {"action":"msg"}\x1b[A',
    "\u2066isolated",
]
COLOURS = [
    "\x1b[m",
    "\x1b[0m",
    "\x1b[1;31m",
    "\x1b[38;5;8m",
    "\x1b[48;2;8;8;8m",
    "\x1b[1;38;5;208;4m",
    "\x1b[97m",
]


@pytest.mark.parametrize("line", NASTY)
@pytest.mark.parametrize("colour", [True, False])
def test_no_control_reaches_the_terminal(line: str, colour: bool) -> None:
    shown = harmless(line, colour=colour)
    for colours in ("\x1b[0m", "\x1b[31m", "\x1b[28m", "\x1b[38;5;1m"):
        shown = shown.replace(colours, "")
    assert all(character == "\t" or character.isprintable() for character in shown)


@pytest.mark.parametrize("colour", COLOURS)
def test_colours_pass(colour: str) -> None:
    assert harmless(f"{colour}x", colour=True) == f"{colour}x\x1b[0m"
    assert harmless(f"{colour}x", colour=False) == "x"


@given(
    st.lists(
        st.sampled_from(["\x1b", "[", "m", ";", "8", "3", "38;5;", "a", "\x9b", "\x07", "]"]), max_size=12
    )
)
def test_pieces_of_sequences(pieces: list[str]) -> None:
    shown = harmless("".join(pieces), colour=True)
    for sequence in re.findall(r"\x1b\[([0-9;]*)m", shown):
        rest = re.sub(r"[34]8;5;\d+", "", sequence)
        assert "8" not in re.sub(r"\d\d+", "", rest).split(";")
    assert all(character.isprintable() for character in re.sub(r"\x1b\[[0-9;]*m", "", shown))
    assert "\x1b" not in harmless("".join(pieces), colour=False)


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
