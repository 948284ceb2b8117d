from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fruix.cli.output.lines import columns, cut, folded, last_state

GCC = (
    "/frx/store/x-gcc/bin/gcc -DHAVE_CONFIG_H -I. -I./lib -g -O2 -MT src/hello.o -c -o src/hello.o "
    "src/hello.c"
)


@pytest.mark.parametrize(
    ("line", "room", "shown"),
    [
        ("short", 5, "short"),
        ("hello.c:12: error: too much greeting", 20, "hello.c:12: error: …"),
        (GCC, 40, "gcc … -c -o src/hello.o src/hello.c"),
        (GCC, 34, "gcc … -o src/hello.o src/hello.c"),
        (f"$ {GCC}", 36, "$ gcc … -o src/hello.o src/hello.c"),
        (f"$$ {GCC}", 24, "$$ gcc … src/hello.c"),
        (f"libtool: compile: {GCC}", 28, "libtool: … src/hello.c"),
        (GCC, 12, "gcc … src/h…"),
        (GCC, 1, "…"),
        ("\x1b[31mred is short\x1b[0m", 12, "\x1b[31mred is short\x1b[0m"),
        ("\x1b[31mred is too long\x1b[0m", 12, "red is too …"),
        ("a\tb", 9, "a\tb"),
        ("a\tb", 8, "a      …"),
        ("漢字漢字", 8, "漢字漢字"),
        ("漢字漢字", 7, "漢字漢…"),
        ("漢字漢字", 6, "漢字…"),
        (GCC, None, GCC),
    ],
)
def test_what_a_line_is_in_that_room(line: str, room: int | None, shown: str) -> None:
    assert folded(line, room) == shown


def test_marks_of_ascii() -> None:
    assert folded(GCC, 36, "...") == "gcc ... -o src/hello.o src/hello.c"
    assert [cut("abcdef", room, "...") for room in (5, 3, 2, 0)] == ["ab...", "...", "..", ""]


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"])), st.integers(0, 60))
def test_nothing_is_wider_than_the_room(line: str, room: int) -> None:
    assert columns(folded(line, room)) <= room


@pytest.mark.parametrize(
    ("line", "state"),
    [
        ("10%\r50%\r100%", "100%"),
        ("100%\r", "100%"),
        ("10%\r \r", "10%"),
        ("\r\r", ""),
        ("no progress", "no progress"),
    ],
)
def test_progress_is_its_last_state(line: str, state: str) -> None:
    assert last_state(line) == state
