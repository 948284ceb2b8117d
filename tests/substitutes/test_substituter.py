"""What caches said serves the query that asked, however little of it is remembered for others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager

import pytest

from fruix.model.narinfo import NarInfo
from fruix.model.pathinfo import PathInfo
from fruix.model.realisation import Realisation
from fruix.model.storepath import StorePath
from fruix.substitutes.address import CacheAddress, Question
from fruix.substitutes.answers import Answers
from fruix.substitutes.substituter import Offer, Reply, Substituter

STORE = "/frx/store"
CACHE = CacheAddress("http://cache.example")
PATHS = [StorePath.parse(f"{STORE}/{letter * 32}-{letter}", STORE) for letter in "abcd"]


class Everybody:
    """Whose word is taken."""

    def objection(self, _said: NarInfo) -> str:
        return ""

    def believes(self, _said: Realisation) -> bool:
        return True


class Served:
    """Has every path that is asked for, and counts questions."""

    asked = 0

    def look(self, questions: Sequence[Question]) -> Iterable[Reply]:
        self.asked += len(questions)
        for question in questions:
            text = f"StoreDir: {STORE}\n"
            if question.name.endswith(".narinfo"):
                part = question.name.partition(".")[0]
                text = (
                    f"StorePath: {STORE}/{part}-{part[0]}\nURL: nar/{part}.nar\nCompression: none\n"
                    f"NarHash: sha256:{'0' * 52}\nNarSize: 120\nReferences: \n"
                )
            yield question.cache.url, question.name, "found", text

    def fetch(self, offer: Offer) -> AbstractContextManager[tuple[PathInfo, Iterator[bytes]]]:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("answers", "asked_again"),
    [
        pytest.param(Answers(100, 100), 0, id="remembered"),
        pytest.param(Answers(0, 0), 4, id="for no time"),
        pytest.param(Answers(100, 100, most=1), 3, id="one alone"),
    ],
)
def test_what_is_not_remembered_is_offered_all_the_same(answers: Answers, asked_again: int) -> None:
    substituter, cache = Substituter(STORE, answers), Served()
    for more in (5, asked_again):
        before = cache.asked
        found = substituter.query(PATHS, [CACHE], Everybody(), cache)
        assert (sorted(found.offers), found.notes) == (PATHS, ())
        assert cache.asked - before == more
