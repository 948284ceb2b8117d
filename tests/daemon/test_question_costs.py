"""What short requests cost a session, in calls of Python functions, which no load changes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import FrameType

import pytest

from daemon.asking import Client
from daemon.serving import Running
from fruix.daemon import expecting
from fruix.daemon.handlers.quick import quick_questions
from fruix.model.buildresult import BuildMode, BuildResult, BuildStatus
from fruix.model.derivedpath import DerivedPath
from fruix.model.storepath import StorePath
from fruix.protocol.operations import operations
from fruix.protocol.wire import Context, Dialect

MANY = 20
# For a question that nobody asked before; 137 and 71 by way of values.
MOST_FIRST = {"QueryPathInfo": 30, "IsValidPath": 24}
# For a request to build for which nothing has to be done; 42 before, and 77 in the Guix dialect.
MOST_AGAIN = 22


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names of Python's functions that threads call which begin from now on."""
    monkeypatch.setattr(expecting, "_has_room", False)  # how often it is looked depends on the load
    names: list[str] = []

    def note(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call":
            names.append(frame.f_code.co_name)

    threading.setprofile(note)
    yield names
    threading.setprofile(None)


def connected(
    daemon: Running, dialect: Dialect = Dialect.NIX, minor: int = 38
) -> tuple[Client, dict[str, int]]:
    """A client, and the numbers of its operations."""
    context = Context(dialect, minor, daemon.store.directory)
    quick_questions(context)  # made once for all
    client = Client(daemon.plug(), dialect, minor, context.directory)
    client.greet()
    return client, {operation.name: number for number, operation in operations(context).items()}


def test_a_question_that_nobody_asked_before(daemon: Running, counted: list[str]) -> None:
    paths: list[StorePath] = []
    for number in range(MANY + 2):
        paths.append(daemon.store.add_text(f"t-{number}", b"", paths[-2:]))
    daemon.store.sync()
    client, numbers = connected(daemon)
    found = {}
    for name in MOST_FIRST:
        for path in paths[:2]:  # what is done once
            client.call(numbers[name], path)
        counted.clear()
        for path in paths[2:]:
            client.call(numbers[name], path)
        found[name] = len(counted) / MANY
    assert found == {name: pytest.approx(0, abs=most) for name, most in MOST_FIRST.items()}


@pytest.mark.parametrize(("dialect", "minor"), [(Dialect.NIX, 38), (Dialect.GUIX, 0x64)])
def test_nothing_to_do(daemon: Running, counted: list[str], dialect: Dialect, minor: int) -> None:
    drv, output = daemon.store.add_text("drv", b""), daemon.store.add_text("x", b"")
    daemon.store.sync()
    daemon.builder.results[drv] = BuildResult(BuildStatus.ALREADY_VALID, outputs={"out": output})
    client, numbers = connected(daemon, dialect, minor)

    def build() -> None:
        client.call(numbers["BuildPaths"], (DerivedPath(drv, None),), BuildMode.NORMAL)

    for _ in range(3):
        build()
    planned = len(daemon.builder.seen)
    counted.clear()
    for _ in range(MANY):
        build()
    assert len(daemon.builder.seen) == planned
    assert len(counted) / MANY <= MOST_AGAIN
