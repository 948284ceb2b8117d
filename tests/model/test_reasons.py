"""Reasons are told in one line where there is room for no more, without looking into their texts."""

from __future__ import annotations

import pytest

from fruix.model.reason_rows import ROWS
from fruix.model.reasons import brief_of, reason, text_of
from fruix.model.storepath import StorePath

DRV = StorePath.parse("/frx/store/00000000000000000000000000000000-hello-2.drv")


@pytest.mark.parametrize("kind", ROWS)
def test_further_lines_are_apart(kind: str) -> None:
    text = ROWS[kind].text
    assert not text.endswith(":")
    assert not [part for part in ("\n", "{found}", "{others}", "{all}", "{likely}") if part in text]


def test_the_brief_text_is_the_beginning_of_the_whole() -> None:
    why = reason("download", url="https://a/x", text="not found", others="\n  https://b/x: refused")
    assert brief_of(why, DRV) == "unable to download 'https://a/x': not found"
    assert text_of(why, DRV) == brief_of(why, DRV) + "\n  https://b/x: refused"


def test_so_it_is_for_a_kind_that_this_version_does_not_know() -> None:
    assert brief_of(reason("of-2031", text="it rained"), DRV) == "it rained"
