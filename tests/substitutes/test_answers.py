"""What is remembered of answers, and for how long."""

from __future__ import annotations

from fruix.model import narinfo
from fruix.model.cacheinfo import CacheInfo
from fruix.substitutes.answers import DOWN, Answers
from golden_data import GOLDEN

FOUND = narinfo.parse((GOLDEN / "narinfo/guix/refs.narinfo").read_bytes(), "/frx/store")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_answers_hold_for_a_while() -> None:
    clock = Clock()
    answers = Answers(100, 10, clock)
    assert answers.get("c", "a") is None
    answers.put("c", "a", FOUND)
    answers.put("c", "b", None)
    assert [answer and answer.found for answer in (answers.get("c", "a"), answers.get("c", "b"))] == [
        FOUND,
        None,
    ]
    clock.now += 10
    assert answers.get("c", "b") is None
    assert answers.get("c", "a") is not None
    answers.forget("c", "a")
    assert answers.get("c", "a") is None


def test_the_oldest_go_first() -> None:
    answers = Answers(100, 10, Clock(), most=2)
    for part in ("a", "b", "a", "c"):
        answers.put("c", part, FOUND)
    assert [answers.get("c", part) is not None for part in ("a", "b", "c")] == [True, False, True]


def test_caches() -> None:
    clock = Clock()
    answers = Answers(100, 10, clock)
    answers.describe("c", CacheInfo("/frx/store"))
    assert answers.info("c") == CacheInfo("/frx/store")
    answers.down("d", "refused")
    assert (answers.why_down("c"), answers.why_down("d")) == ("", "refused")
    clock.now += DOWN
    assert answers.why_down("d") == ""
