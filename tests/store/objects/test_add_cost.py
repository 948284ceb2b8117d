"""What the store does for each of many derivations, in calls of Python's functions and of the database."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from fruix.model.hostview import HostView
from fruix.model.storepath import StorePath
from fruix.model.text_object import Text
from fruix.packages.lower import Lowering, LoweringContext
from fruix.store.local import LocalStore
from packages.test_cost import calls, define

# For a derivation with three inputs; 259 while references were looked up one by one and parts of each text
# were escaped alone.
MOST_CALLS = 195


class Collecting:
    """Keeps what lowering adds."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.texts: list[Text] = []

    def add_text_soon(self, text: Text) -> StorePath:
        self.texts.append(text)
        return text.path(self.directory)


def lowered(directory: str, many: int) -> Sequence[Text]:
    store = Collecting(directory)
    work = Lowering(store, LoweringContext("x86_64-linux", lambda name: HostView(name, "f" * 64)))  # type: ignore[arg-type]
    for package in define(many):
        work.lowered(package)
    return store.texts


def test_calls_for_a_derivation(store: LocalStore) -> None:
    texts = lowered(store.directory, 160)
    store.add_texts(texts[:40])  # what is done once
    few, more = (
        calls(lambda start=start, end=end: store.add_texts(texts[start:end]))  # type: ignore[misc]
        for start, end in pairwise((40, 60, 120))
    )
    assert (more - few) / 40 <= MOST_CALLS


def test_references_are_not_looked_up_one_by_one(store: LocalStore) -> None:
    said: list[str] = []
    texts = lowered(store.directory, 60)
    store.add_texts(texts[:30])
    with store.database.writing() as connection:
        connection.set_trace_callback(said.append)
    store.add_texts(texts[30:])
    assert len([text for text in said if text.startswith("\ninsert into ValidPaths")]) == len(texts) - 30
    assert [text for text in said if text.lower().startswith("select")] == []
